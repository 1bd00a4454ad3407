"""What `helm test` runs in the cluster: real calls of the API. It exits with an error that says what is wrong.

Without a key the call with a wrong one still goes the whole way: gateway, Redis, user and its database.
"""

import json
import os
import sys
import urllib.error
import urllib.request

URL = os.environ["ROSTRA_URL"]
KEY = os.environ.get("ROSTRA_TEST_API_KEY")


def call(path: str, key: str = "", body: dict[str, object] | None = None) -> tuple[int, str]:
    """Return status and body of a call."""
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(URL + path, data=data, headers=headers)  # noqa: S310 - the chart's own address
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def expect(what: str, answer: tuple[int, str], status: int, *words: str) -> None:
    """End with an error unless the answer has the status and holds the words."""
    if answer[0] != status or any(word not in answer[1] for word in words):
        sys.exit(f"{what}: expected {status} with {words}, got {answer[0]}: {answer[1][:500]}")
    sys.stdout.write(f"ok: {what}\n")


def main() -> None:
    """Call the API as a client would."""
    expect("the gateway is ready", call("/readyz"), 200)
    expect("a wrong key is refused", call("/v1/models", "sk-rostra-wrong"), 401, '"error"', "invalid_api_key")
    if not KEY:
        return
    model = os.environ["ROSTRA_TEST_MODEL"]
    expect("the model is offered", call(f"/v1/models/{model}", KEY), 200, model)
    chat: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": "Hello!"}]}
    expect("a model answers", call("/v1/chat/completions", KEY, chat), 200, '"choices"')
    expect("a model streams", call("/v1/chat/completions", KEY, chat | {"stream": True}), 200, "data: [DONE]")
    expect("a response is stored", call("/v1/responses", KEY, {"model": model, "input": "Hello!"}), 200, '"completed"')


main()
