"""A service of language models that speaks both protocols and says what the test scripts."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def openai(answer, *, finish="stop", refusal=None, tokens=(120, 30)):
    """An answer in the form of chat completions; `answer` is text, or a value."""
    content = answer if isinstance(answer, str) else json.dumps(answer)
    return {
        "id": "chatcmpl-7",
        "model": "large-2026",
        "choices": [
            {
                "finish_reason": finish,
                "message": {"role": "assistant", "content": content, "refusal": refusal},
            }
        ],
        "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]},
    }


def anthropic(value, *, stop="tool_use", tokens=(140, 20)):
    """An answer in the form of messages; a text, or a value given to the tool."""
    if isinstance(value, str):
        part = {"type": "text", "text": value}
    else:
        part = {"type": "tool_use", "id": "toolu_1", "name": "answer", "input": value}
    return {
        "id": "msg_5",
        "model": "claude-2026",
        "content": [part],
        "stop_reason": stop,
        "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]},
    }


class Models:
    """Answers from `script`, in order; a number is a status, a float a delay in front of the next.

    When nothing is scripted (any more) it gives the `usual` answer, `pause` seconds after it was
    asked. `asked` are the requests: path, headers in lower case, body; `most` so many were being
    answered at once.
    """

    def __init__(self) -> None:
        self.script: list[object] = []
        self.usual: object = None
        self.pause = 0.0
        self.at_once = self.most = 0
        self.lock = threading.Lock()
        self.asked: list[tuple[str, dict[str, str], dict]] = []
        models = self

        class _Page(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): text for name, text in self.headers.items()}
                models.asked.append((self.path, headers, json.loads(raw)))
                script = models.script
                said = script.pop(0) if script else self.usual_answer()
                if isinstance(said, float):
                    time.sleep(said)
                    said = script.pop(0)  # of its own test, though another one has begun
                status = said if isinstance(said, int) else 200
                body = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if status == 429:
                    self.send_header("Retry-After", "20")
                self.end_headers()
                with contextlib.suppress(OSError):  # who asked has given up
                    self.wfile.write(body)

            def usual_answer(self) -> object:
                with models.lock:
                    models.at_once += 1
                    models.most = max(models.most, models.at_once)
                time.sleep(models.pause)
                with models.lock:
                    models.at_once -= 1
                return models.usual

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
