"""The list component, on the list of people: search, filters, pages, empty, htmx and without it."""

import re

import pytest

from orchestrator.access import Role

PEOPLE = "/settings/people/"


@pytest.fixture
def page(sign_in):
    client = sign_in(Role.ADMINISTRATOR)

    def get(query="", **headers):
        return client.get(PEOPLE + query, headers=headers).content.decode()

    return get


def names(html):
    return re.findall(r'<span class="row-title"><bdi>([^<]+)</bdi>', html)


def test_search_needs_every_word_and_ignores_case(page):
    assert names(page("?q=OWNER")) == ["Agent Owner", "Business Owner"]
    assert names(page("?q=agent+owner")) == ["Agent Owner"]


def test_filters_are_links_that_keep_the_search(page):
    html = page("?q=owner")
    assert "?q=owner&amp;role=reviewer" in html
    assert names(page("?role=operator")) == ["Operator"]
    assert re.search(
        r'href="/settings/people/\?role=operator"\s+aria-current="true"',
        re.sub(r' hx-[a-z-]+="[^"]*"', "", page("?role=operator")),
    )


def test_nothing_found_offers_the_way_back_and_names_the_search_as_text(page):
    html = page("?q=%3Cscript%3E")
    assert "No person matches" in html
    assert "&lt;script&gt;" in html
    assert "Clear search and filters" in html


def test_an_empty_list_says_what_belongs_there_and_offers_the_first_action(sign_in):
    html = sign_in(Role.OPERATOR).get("/settings/tokens/").content.decode()
    assert "No token yet" in html
    assert "Make a token" in html


def test_htmx_gets_the_list_alone_and_a_browser_without_script_the_page(page):
    part = page("?q=owner", **{"hx-request": "true", "hx-target": "div#list-people"})
    assert part.lstrip().startswith('<div class="list')
    assert "<html" not in part
    assert "<html" in page("?q=owner")


def test_pages_lead_on_and_back_without_losing_or_doubling_a_row(sign_in, world):
    for number in range(60):
        world.person(f"person-{number:02}", Role.REVIEWER)
    client = sign_in(Role.ADMINISTRATOR)
    seen, address = [], PEOPLE
    while address:
        html = client.get(address).content.decode()
        found = names(html)
        seen.append(found)
        match = re.search(r'rel="next" href="([^"]+)"', html)
        address = match and match.group(1).replace("&amp;", "&")
    assert [len(one) for one in seen] == [50, 16]
    assert len({name for part in seen for name in part}) == 66
    back = re.search(r'rel="prev" href="([^"]+)"', html).group(1).replace("&amp;", "&")
    assert names(client.get(back).content.decode()) == seen[0]


@pytest.mark.parametrize("query", ["?q=a%00b", "?cursor=zzz", "?cursor=WyJuIiwiYSIsInp6Il0"])
def test_a_query_that_cannot_be_is_refused_with_a_page(sign_in, query):
    answer = sign_in(Role.ADMINISTRATOR).get(PEOPLE + query)
    assert answer.status_code == 422
    assert "css/tokens.css" in answer.content.decode()


def test_an_unknown_filter_value_filters_nothing(page):
    assert len(names(page("?role=horse"))) == 6
