"""A stock OAuth client, authlib, against Doorman: oauth_client.py URL SERVICE SECRET USER PASSWORD."""

import os
import sys

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # the test's Doorman is plain, on loopback
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from authlib.oauth2.rfc9068.claims import JWTAccessTokenClaims

URL, SERVICE, SECRET, USER, PASSWORD = sys.argv[1:]
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"

# RFC 8414: the document is where it is looked for, and is valid but for TLS, which this Doorman does without.
document = requests.get(get_well_known_url(URL, external=True)).json()
issuer = document["issuer"]
secured = {
    name: value.replace("http://", "https://", 1) if isinstance(value, str) else value for name, value in document.items()
}
AuthorizationServerMetadata(secured).validate()
paths = {name: value.replace(document["issuer"], URL) for name, value in document.items() if isinstance(value, str)}
token_url, introspect_url, revoke_url = (
    paths[f"{name}_endpoint"] for name in ("token", "introspection", "revocation")
)


def session(method="client_secret_basic", secret=SECRET):
    return OAuth2Session(
        SERVICE, secret, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method
    )


def about(token):
    return session().introspect_token(introspect_url, token=token, token_type_hint="access_token").json()


def refused(error, call):
    try:
        call()
    except OAuthError as problem:
        assert problem.error == error, (problem.error, problem.description)
    else:
        raise AssertionError(f"{error} was expected")


keys = JsonWebKey.import_key_set(requests.get(paths["jwks_uri"]).json())


def claims_of(token):
    must = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": "doorman"}}
    claims = JsonWebToken(["EdDSA"]).decode(token, keys, claims_cls=JWTAccessTokenClaims, claims_options=must)
    claims.validate()
    return claims


# client_credentials, with the secret in the header and in the form.
for method in ("client_secret_basic", "client_secret_post"):
    client = session(method)
    own = client.fetch_token(token_url, grant_type="client_credentials")
    assert own["token_type"] == "Bearer" and own["expires_in"] > 0, own
    assert claims_of(own["access_token"])["sub"] == f"service:{SERVICE}"
    # authlib sends it by itself from now on.
    me = client.get(URL + "/auth/v1/me").json()
    assert (me["actor"], me["subject"]) == (f"service:{SERVICE}", f"service:{SERVICE}"), me
refused("invalid_client", lambda: session(secret="wrong").fetch_token(token_url, grant_type="client_credentials"))
refused("unsupported_grant_type", lambda: session().fetch_token(token_url, grant_type="magic"))

# RFC 8693: the user's login for a token with which the service acts for them.
login = requests.post(URL + "/auth/v1/login", json={"username": USER, "password": PASSWORD}).json()
exchange = {"grant_type": EXCHANGE, "subject_token_type": ACCESS_TOKEN}
client = session()
acting = client.fetch_token(
    token_url,
    subject_token=login["token"],
    actor_token=own["access_token"],
    actor_token_type=ACCESS_TOKEN,
    **exchange,
)
assert acting["issued_token_type"] == ACCESS_TOKEN, acting
claims = claims_of(acting["access_token"])
assert (claims["sub"], claims["act"]) == (f"user:{USER}", {"sub": f"service:{SERVICE}"}), claims
answer = client.get(URL + "/r/eu/echo/from-authlib")
assert answer.status_code == 200, answer.text
# RFC 8693 section 2.2.2 says which error this is.
refused("invalid_request", lambda: session().fetch_token(token_url, subject_token="nonsense", **exchange))
refused(
    "invalid_request", lambda: session().fetch_token(token_url, subject_token=acting["access_token"], **exchange)
)
refused("invalid_request", lambda: session().fetch_token(token_url, grant_type=EXCHANGE))

# RFC 7662.
told = about(acting["access_token"])
assert told["active"] and told["sub"] == f"user:{USER}" and told["act"] == {"sub": f"service:{SERVICE}"}, told
assert told["client_id"] == SERVICE and told["iss"] == issuer and told["exp"] > told["iat"], told
assert about("nonsense") == {"active": False}

# RFC 7009: it ends, and revoking it again is no error.
for _ in range(2):
    assert session().revoke_token(revoke_url, token=acting["access_token"]).status_code == 200
assert about(acting["access_token"]) == {"active": False}
assert client.get(URL + "/r/eu/echo/again").status_code == 401
# The user's own login is not the client's to revoke; when the user ends it, what hangs on it ends.
again = session().fetch_token(token_url, subject_token=login["token"], **exchange)
assert session().revoke_token(revoke_url, token=login["token"]).status_code >= 400
assert about(login["token"])["active"]
bearer = {"Authorization": "Bearer " + login["token"]}
assert requests.post(URL + "/auth/v1/logout", headers=bearer).status_code == 204
assert about(again["access_token"]) == {"active": False}
print("ok")
