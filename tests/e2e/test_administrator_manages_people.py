"""The administrator: people, roles, workspaces, tokens, and the table of who may do what."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def test_people_roles_workspaces_and_tokens_have_their_pages(person):
    person.sign_in("Administrator")
    page = person.page
    for name, address, words in (
        ("settings-people", "/settings/people/", "Maren Vogt"),
        ("settings-roles", "/settings/roles/", "Decide"),
        ("settings-workspaces", "/settings/workspaces/", "Customer service"),
        ("settings-services", "/settings/services/", "Service"),
        ("settings-tokens", "/settings/tokens/", "token"),
        ("settings-account", "/settings/account/", "Theme"),
    ):
        page.goto(address)
        expect(page.locator("main")).to_contain_text(re.compile(words, re.I))
        person.screenshot(name)


def test_what_a_role_may_not_do_is_locked_with_the_reason(person):
    person.sign_in("Administrator")
    page = person.page
    page.goto(person.run_of("CL-2026-110"))
    person.screenshot("run-as-administrator")
    page.goto("/audit/")
    expect(page.locator("body")).to_contain_text(re.compile("compliance", re.I))
    person.screenshot("not-allowed")


def test_a_new_person_gets_a_role_and_can_sign_in(person, browser, server):
    person.sign_in("Administrator")
    page = person.page
    page.goto("/settings/people/")
    page.get_by_role("link", name=re.compile("(New|Add).*person", re.I)).first.click()
    page.get_by_label(re.compile("^User name", re.I)).fill("ines.holm")
    page.get_by_label(re.compile("^Name", re.I)).fill("Ines Holm")
    page.get_by_label("Workspace").select_option(label="Claims")
    page.get_by_label("First role").select_option(label="Reviewer")
    person.screenshot("settings-new-person")
    page.get_by_role("button", name=re.compile("Add this person", re.I)).last.click()
    expect(page.locator("main")).to_contain_text("Ines Holm")
    person.screenshot("settings-person-created")
