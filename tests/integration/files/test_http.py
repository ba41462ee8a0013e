"""Files over HTTP: upload, preview, original."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from orchestrator.files.models import Artefact
from tests.integration.files import samples


def send(client, content, name="claim.pdf", **fields):
    file = SimpleUploadedFile(name, content)
    return client.post("/api/v1/artefacts/", {"file": file, **fields})


def test_an_upload_gives_the_value_that_stands_for_the_file(as_owner, office):
    answer = send(as_owner, samples.pdf("a", "b"))
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body["media"] == "application/pdf"
    assert body["pages"] == 2
    assert body["value"] == {
        "artefact": body["sha256"],
        "media": "application/pdf",
        "name": "claim.pdf",
    }
    again = as_owner.get(f"/api/v1/artefacts/{body['sha256']}/").json()
    assert again["value"] == body["value"]


def test_the_wrong_kind_of_file_is_refused_with_what_is_taken(as_owner):
    answer = send(as_owner, b"PK\x03\x04" + b"\x00" * 50, "letter.docx")
    assert answer.status_code == 415
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Give a PDF, PNG, JPEG" in answer.json()["detail"]


def test_a_missing_file_or_an_unknown_field_is_named(as_owner):
    assert as_owner.post("/api/v1/artefacts/", {}).json()["violations"][0]["path"] == "/file"
    answer = send(as_owner, b"x", "a.txt", colour="red")
    assert answer.status_code == 422
    assert answer.json()["violations"][0]["path"] == "/colour"


def test_the_workspace_is_asked_for_only_when_there_are_several(as_owner, office, owner):
    from orchestrator.access import SYSTEM
    from orchestrator.accounts import services as accounts
    from tests.integration.approvals.world import NOW

    other = office.other_workspace()
    accounts.grant_membership(
        person_id=owner.id, workspace_id=other.id, role="operator", actor=SYSTEM, now=NOW
    )
    assert send(as_owner, b"x", "a.txt").status_code == 422
    assert send(as_owner, b"x", "a.txt", workspace=str(other.id)).status_code == 201
    assert Artefact.objects.get().workspace_id == other.id


def test_a_repeated_upload_with_the_same_key_happens_once(as_owner):
    def once():
        return as_owner.post(
            "/api/v1/artefacts/",
            {"file": SimpleUploadedFile("a.txt", b"text")},
            headers={"Idempotency-Key": "k1"},
        )

    assert once().json() == once().json()


def test_the_original_comes_as_an_attachment_in_a_sandbox(as_owner):
    content = b"<script>alert(1)</script>"
    sha256 = send(as_owner, content, "page.html").json()["sha256"]
    for address in (f"/files/{sha256}/original/", f"/api/v1/artefacts/{sha256}/content/"):
        answer = as_owner.get(address)
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert b"".join(answer.streaming_content) == content


def test_page_images_and_previews(as_owner):
    sha256 = send(as_owner, samples.pdf("Policy MV-1")).json()["sha256"]
    picture = as_owner.get(f"/files/{sha256}/pages/1/1000/")
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    assert as_owner.get(f"/files/{sha256}/pages/7/1000/").status_code == 422
    page = as_owner.get(f"/files/{sha256}/").content.decode()
    assert f"/files/{sha256}/pages/1/1600/" in page
    text = send(as_owner, "Grüße <b>".encode(), "note.txt").json()["sha256"]
    assert "Grüße &lt;b&gt;" in as_owner.get(f"/files/{text}/").content.decode()


@pytest.mark.parametrize(
    "path", ["/files/{}/", "/files/{}/original/", "/files/{}/pages/1/640/", "/api/v1/artefacts/{}/"]
)
def test_a_foreign_file_is_not_found(as_owner, office, client, path):
    sha256 = send(as_owner, samples.pdf()).json()["sha256"]
    stranger = office.person("sam", "business-owner", workspace=office.other_workspace())
    client.force_login(stranger)
    assert client.get(path.format(sha256)).status_code == 404
    client.logout()
    assert client.get(path.format(sha256)).status_code in {302, 401}
