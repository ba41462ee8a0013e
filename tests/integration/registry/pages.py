"""Reading a page's form as a browser without script would send it."""

from html.parser import HTMLParser

from django.test import Client


def client_of(world, role):
    """A browser of the person of `world` who holds this role."""
    client = Client()
    client.force_login(
        world.users[f"{role}-{world.workspace.slug}"],
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    return client


class _Form(HTMLParser):
    """Collects what the form with an id would send."""

    def __init__(self, form_id):
        super().__init__()
        self.form_id = form_id
        self.is_inside = False
        self.templates = 0
        self.area = self.select = None
        self.sent = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form" and given.get("id") == self.form_id:
            self.is_inside = True
        if tag == "template":
            self.templates += 1
        if not self.is_inside or self.templates:
            return
        name, kind = given.get("name"), given.get("type", "text")
        if tag == "input" and name and kind not in {"file", "submit"}:
            if kind not in {"checkbox", "radio"} or "checked" in given:
                self.sent.append([name, given.get("value", "")])
        elif tag == "textarea" and name:
            self.area = [name, ""]
        elif tag == "select" and name:
            self.select = [name, None]
        elif tag == "option" and self.select and (self.select[1] is None or "selected" in given):
            self.select[1] = given.get("value")

    def handle_data(self, data):
        if self.area:
            self.area[1] += data

    def handle_endtag(self, tag):
        if tag == "template":
            self.templates -= 1
        elif tag == "textarea" and self.area:
            name, text = self.area
            self.sent.append([name, text.removeprefix("\n")])
            self.area = None
        elif tag == "select" and self.select:
            self.sent.append([self.select[0], self.select[1] or ""])
            self.select = None
        elif tag == "form":
            self.is_inside = False


def sent_by(page, form_id):
    """What the form would send as it stands: name -> value, or a list where a name repeats."""
    reader = _Form(form_id)
    reader.feed(page.content.decode())
    assert reader.sent, f"no form {form_id}"
    sent = {}
    for name, value in reader.sent:
        sent.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in sent.items()}
