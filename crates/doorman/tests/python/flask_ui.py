"""Drives examples/flask-ui as a browser would, against a running demo: flask_ui.py URL DIRECTORY-OF-THE-APP."""

import os
import re
import sys
import threading

import requests
from werkzeug.serving import make_server

os.environ["DOORMAN_URL"] = sys.argv[1]
sys.path.insert(0, sys.argv[2])
import app as ui  # noqa: E402

server = make_server("127.0.0.1", 0, ui.app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
SITE = f"http://127.0.0.1:{server.server_port}"


class Browser:
    def __init__(self):
        self.http = requests.Session()
        self.http.trust_env = False

    def get(self, path):
        return self.http.get(SITE + path)

    def submit(self, page, path, **fields):
        word = re.search(r'name="csrf" value="([^"]+)"', page.text).group(1)
        return self.http.post(SITE + path, data={"csrf": word, **fields})

    def log_in(self, name, password=None):
        page = self.get("/")
        assert "Log in" in page.text, page.text
        return self.submit(page, "/login", username=name, password=password or f"{name}-demo")


alice = Browser()
wrong = alice.log_in("alice", "wrong")
assert wrong.status_code == 401 and "User name or password is wrong" in wrong.text, wrong.text
page = alice.log_in("alice")
assert page.status_code == 200 and "Companies in eu" in page.text, page.text
assert page.text.count("Migrate</button>") > 5, page.text

done = alice.submit(page, "/eu/companies/7/migrate")
assert done.status_code == 200 and "Migrated by user:alice" in done.text, done.text
# The service's own refusals and failures are shown, too.
again = alice.submit(page, "/eu/companies/7/migrate")
assert again.status_code == 409 and "was migrated by user:alice" in again.text, again.text

# What alice may not do, the site may not do for her, and she is told.
denied = alice.submit(page, "/us/companies/7/migrate")
assert denied.status_code == 403 and "403 forbidden" in denied.text, denied.text
assert "No policy permits user:alice to POST" in denied.text and "audit entry 0" in denied.text, denied.text

# An administrator cannot be acted for.
erin = Browser()
refused = erin.log_in("erin")
assert refused.status_code == 403 and "delegation_refused" in refused.text, refused.text

# dave may in both regions.
dave = Browser()
page = dave.log_in("dave")
done = dave.submit(page, "/us/companies/8/migrate")
assert done.status_code == 200 and "Migrated by user:dave" in done.text, done.text

# Each sees what was done in their own name, and by whom.
log = alice.get("/log")
rows = re.findall(r"<tr><td>[^<]*<td>([^<]*)<td>([^<]*)<td>([^<]*)<td>([^<\n]*)", log.text)
assert ("service:reports-ui", "user:alice", "POST eu/companies/companies/7/migrate", "200") in rows, rows
assert ("service:reports-ui", "user:alice", "POST us/companies/companies/7/migrate", "deny") in [
    (who, whom, what, status if status == "200" else "deny") for who, whom, what, status in rows
], rows
assert all(whom == "user:alice" for _, whom, _, _ in rows), rows

# No token reaches the browser, and a form from elsewhere does nothing.
assert not any("eyJ" in page.text for page in (log, page, done))
forged = alice.http.post(SITE + "/eu/companies/9/migrate", data={})
assert forged.status_code == 400, forged.text

out = alice.submit(alice.get("/eu/companies"), "/logout")
assert "Log in" in out.text and "Log in" in alice.get("/eu/companies").text
print("ok")
