"""A small internal UI that acts for its users through Doorman.

It has a credential of its own (a service account) and no rights: whatever it does, it does for the user who is logged in,
with that user's rights, and the audit log names both.
"""

import os
import secrets

import requests
from flask import Flask, redirect, render_template, request, session, url_for

DOORMAN = os.environ.get("DOORMAN_URL", "http://127.0.0.1:8440")
SERVICE = os.environ.get("DOORMAN_SERVICE", "reports-ui")
SECRET = os.environ.get("DOORMAN_SECRET", "reports-ui-demo")
REGIONS = ["eu", "us"]
TIMEOUT = 30

app = Flask(__name__)
# Sessions end with the process; a UI of several processes would share this key and the dictionary below.
app.secret_key = secrets.token_bytes(32)
app.config.update(SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Strict")

# The users' tokens stay here; a browser gets a random name for its own and nothing else.
logins = {}


class Refused(Exception):
    """Doorman, or the service behind it, did not do it."""

    def __init__(self, answer):
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        super().__init__(problem.get("detail") or problem.get("error") or answer.text)
        self.status = answer.status_code
        self.code = answer.headers.get("Doorman-Error", "")
        self.hint = problem.get("hint")
        self.audit_id = answer.headers.get("Doorman-Audit-Id")


def call(method, path, **options):
    """Sends a request through Doorman for the user who is logged in."""
    login = logins[session["login"]]
    headers = {
        # Both must be good: this program's own credential, and the user's token.
        "Doorman-On-Behalf-Of": login["name"],
        "Doorman-User-Token": login["token"],
        **options.pop("headers", {}),
    }
    answer = requests.request(
        method, DOORMAN + path, auth=(SERVICE, SECRET), headers=headers, timeout=TIMEOUT, allow_redirects=False, **options
    )
    if not answer.ok:
        raise Refused(answer)
    return answer


@app.before_request
def require_login():
    if request.endpoint not in ("log_in", "static") and session.get("login") not in logins:
        return redirect(url_for("log_in"))
    # Forms carry a word that other sites cannot know.
    if request.method == "POST" and not secrets.compare_digest(request.form.get("csrf", ""), session.get("csrf", "-")):
        return "The form is too old; load the page again.", 400
    session.setdefault("csrf", secrets.token_urlsafe())
    return None


@app.errorhandler(Refused)
def show_refusal(refused):
    if refused.status == 401 or refused.code == "delegation_refused":
        # The login has ended, by time or by an administrator.
        logins.pop(session.pop("login", None), None)
    return render_template("refused.html", refused=refused), refused.status


@app.route("/login", methods=["GET", "POST"])
def log_in():
    if request.method == "GET":
        return render_template("login.html")
    asked = {"username": request.form["username"], "password": request.form["password"]}
    answer = requests.post(DOORMAN + "/auth/v1/login", json=asked, timeout=TIMEOUT)
    if not answer.ok:
        return render_template("login.html", error=answer.json()["detail"]), answer.status_code
    login = answer.json()
    session.clear()
    session["login"] = secrets.token_urlsafe()
    logins[session["login"]] = {"name": login["user"]["name"], "token": login["token"]}
    return redirect(url_for("companies", region=REGIONS[0]))


@app.post("/logout")
def log_out():
    login = logins.pop(session.pop("login"))
    bearer = {"Authorization": "Bearer " + login["token"]}
    requests.post(DOORMAN + "/auth/v1/logout", headers=bearer, timeout=TIMEOUT)
    return redirect(url_for("log_in"))


@app.get("/")
def start():
    return redirect(url_for("companies", region=REGIONS[0]))


@app.get("/<region>/companies")
def companies(region):
    page = request.args.get("page", 1, type=int)
    found = call("GET", f"/r/{region}/companies/companies", params={"page": page}).json()
    return render_template(
        "companies.html", found=found, region=region, regions=REGIONS, user=logins[session["login"]]["name"]
    )


@app.post("/<region>/companies/<int:company>/migrate")
def migrate(region, company):
    reason = {"Doorman-Reason": request.form.get("reason") or "from the companies page"}
    done = call("POST", f"/r/{region}/companies/companies/{company}/migrate", json={"to": "v2"}, headers=reason)
    return render_template(
        "migrated.html", company=done.json(), region=region, audit_id=done.headers["Doorman-Audit-Id"]
    )


@app.get("/log")
def log():
    entries = call("GET", "/api/v1/audit", params={"kind": "request", "limit": 20}).json()["items"]
    return render_template("log.html", entries=entries)
