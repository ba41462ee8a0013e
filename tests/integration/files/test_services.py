"""Taking files in, and who may read them."""

import hashlib

import pytest

from audit.models import AuditOutbox
from orchestrator.access import SYSTEM, Actor
from orchestrator.agents.base import ArtefactMissingError
from orchestrator.core.errors import InvalidInputError, NotFoundError, PermissionDeniedError
from orchestrator.files import selectors, services, storage
from orchestrator.files.media import UnsupportedMediaError
from orchestrator.files.models import Artefact, ArtefactUpload
from orchestrator.files.services import FileTooLargeError
from tests.integration.approvals.world import NOW
from tests.integration.files import samples


def actor(person):
    return Actor(kind="user", id=str(person.id))


def upload(office, person, content, name="claim.pdf"):
    return services.upload_artefact(
        workspace_id=office.workspace.id,
        name=name,
        chunks=[content[i : i + 5_000] for i in range(0, len(content), 5_000)],
        actor=actor(person),
        now=NOW,
    )


def test_an_upload_is_kept_under_its_hash_and_audited(office, owner):
    content = samples.pdf()
    artefact = upload(office, owner, content)
    assert artefact.sha256 == hashlib.sha256(content).hexdigest()
    assert (artefact.media, artefact.size_bytes) == ("application/pdf", len(content))
    assert storage.path_of(artefact.sha256).read_bytes() == content
    assert AuditOutbox.objects.filter(action="file.uploaded").count() == 1
    opened = selectors.open_artefact(office.workspace.id, artefact.sha256)
    assert (opened.content, opened.name) == (content, "claim.pdf")


def test_the_same_content_again_is_the_same_row_and_each_uploader_reads_it(office, owner):
    other = office.person("piet", "operator")
    content = samples.pdf()
    first = upload(office, owner, content, "claim.pdf")
    second = upload(office, other, content, "schaden.pdf")
    assert first.id == second.id
    assert ArtefactUpload.objects.count() == 2
    assert selectors.name_for(actor(other), second) == "schaden.pdf"
    assert selectors.name_for(actor(owner), first) == "claim.pdf"
    assert upload(office, owner, content).id == first.id
    assert ArtefactUpload.objects.count() == 2


def test_nothing_is_left_of_a_refused_upload(office, owner):
    with pytest.raises(UnsupportedMediaError):
        upload(office, owner, b"MZ\x90\x00" * 100, "setup.exe")
    with pytest.raises(InvalidInputError, match="is empty"):
        upload(office, owner, b"", "empty.txt")
    assert not Artefact.objects.exists()
    incoming = storage._root() / "incoming"
    assert not incoming.exists() or not list(incoming.iterdir())


def test_reading_stops_at_the_limit(office, owner):
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1_000_000
            yield b"a" * 1_000_000

    with pytest.raises(FileTooLargeError, match="larger than 25 MB"):
        services.upload_artefact(
            workspace_id=office.workspace.id,
            name="big.txt",
            chunks=endless(),
            actor=actor(owner),
            now=NOW,
        )
    assert read == 26_000_000


def test_only_who_may_upload_in_the_workspace_does(office, owner):
    compliance = office.person("carl", "compliance")
    with pytest.raises(PermissionDeniedError):
        upload(office, compliance, samples.pdf())
    stranger = office.person("sam", "business-owner", workspace=office.other_workspace())
    with pytest.raises(NotFoundError):
        upload(office, stranger, samples.pdf())


def test_a_name_is_only_a_name(office, owner):
    assert upload(office, owner, b"x", "../../etc/passwd").name == "passwd"
    assert upload(office, owner, b"xy", "C:\\temp\\a.txt").name == "a.txt"
    assert upload(office, owner, b"xyz", "a\u202etxt.exe\x07").name == "atxt.exe"
    with pytest.raises(InvalidInputError, match="NUL"):
        upload(office, owner, b"x", "a\x00.txt")
    long = upload(office, owner, b"wxyz", "n" * 300 + ".txt").name
    assert len(long) == 200
    assert long.endswith(".txt")


def test_others_read_a_file_when_a_workflow_that_they_may_see_uses_it(office, owner, workflow):
    colleague = office.person("rita", "reviewer")
    stranger = office.person("sam", "reviewer", workspace=office.other_workspace())
    artefact = upload(office, owner, samples.pdf())
    for person in (colleague, stranger):
        with pytest.raises(NotFoundError):
            selectors.get_artefact(actor(person), artefact.sha256)
    services.attach(artefact, workflow.id)
    services.attach(artefact, workflow.id)
    assert selectors.get_artefact(actor(colleague), artefact.sha256).id == artefact.id
    with pytest.raises(NotFoundError):
        selectors.get_artefact(actor(stranger), artefact.sha256)


def test_a_payload_may_only_name_files_that_the_starter_may_read(office, owner, workflow):
    piet = office.person("piet", "operator")
    artefact = upload(office, owner, samples.pdf())
    payload = {"claim": {"documents": [selectors.value_of(artefact)]}}
    where = {"workspace_id": office.workspace.id, "workflow_id": workflow.id}
    with pytest.raises(InvalidInputError, match="upload it first"):
        services.attach_payload(payload=payload, actor=actor(piet), **where)
    assert services.attach_payload(payload=payload, actor=actor(owner), **where) == 1
    assert services.attach_payload(payload=payload, actor=actor(piet), **where) == 1
    with pytest.raises(InvalidInputError):
        services.attach_payload(payload={"artefact": "0" * 64}, actor=None, **where)
    assert services.attach_payload(payload={"nothing": 1}, actor=None, **where) == 0


def test_an_agent_opens_files_of_its_workspace_only(office, owner):
    artefact = upload(office, owner, samples.pdf())
    other = office.other_workspace()
    with pytest.raises(ArtefactMissingError):
        selectors.open_artefact(other.id, artefact.sha256)
    storage.path_of(artefact.sha256).unlink()
    with pytest.raises(ArtefactMissingError, match="is gone"):
        selectors.open_artefact(office.workspace.id, artefact.sha256)


def test_pages_are_pictures_made_once(office, owner, monkeypatch):
    artefact = upload(office, owner, samples.pdf("first page", "second page"))
    pages = selectors.pages_of(artefact)
    assert [page.number for page in pages] == [1, 2]
    assert pages[0].width == 59528
    picture, media = selectors.page_image(artefact, 2, 900)
    assert media == "image/png"
    from orchestrator import pdf

    monkeypatch.setattr(pdf, "page_image", None)
    assert selectors.page_image(artefact, 2, 1_000)[0] == picture
    assert selectors.page_text(artefact, 2) == "second page"


def test_a_page_is_cropped_to_what_is_on_it(office, owner):
    artefact = upload(office, owner, samples.pdf("near the top"))
    x0, y0, x1, y1 = selectors.content_box(artefact, 1)
    assert 4_000 < x0 < 7_200
    assert y0 < 14_200 - 1_000 < y1
    assert x1 < 30_000
    assert y1 < 20_000


@pytest.mark.parametrize("content", [b"%PDF-1.7 broken", samples.pdf("secret", encrypt="pass")])
def test_a_document_that_cannot_be_read_is_kept_but_has_no_pages(office, owner, content):
    artefact = upload(office, owner, content)
    assert selectors.pages_of(artefact) == ()
    with pytest.raises(selectors.NoPreviewError):
        selectors.page_image(artefact, 1, 640)


def test_a_photograph_is_shown_upright_and_small(office, owner):
    import io

    from PIL import Image

    artefact = upload(office, owner, samples.photo(2000, 1000, orientation=6), "car.jpg")
    (page,) = selectors.pages_of(artefact)
    assert (page.width, page.height) == (1000, 2000)
    content, media = selectors.page_image(artefact, 1, 600)
    assert media == "image/jpeg"
    assert Image.open(io.BytesIO(content)).size == (640, 1280)
    with pytest.raises(selectors.NoPreviewError):
        selectors.page_image(artefact, 2, 600)


def test_a_picture_with_too_many_pixels_is_not_decoded(office, owner, monkeypatch):
    artefact = upload(office, owner, samples.photo(), "car.jpg")
    monkeypatch.setattr(selectors, "MAX_IMAGE_PIXELS", 1_000)
    assert selectors.pages_of(artefact) == ()
    with pytest.raises(selectors.NoPreviewError, match="too many pixels"):
        selectors.page_image(artefact, 1, 640)


def test_seeding_may_upload_without_a_person(office):
    artefact = services.upload_artefact(
        workspace_id=office.workspace.id, name="a.txt", chunks=[b"text"], actor=SYSTEM, now=NOW
    )
    assert artefact.media == "text/plain"
