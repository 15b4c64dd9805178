"""A judge on loopback that answers as a test says, and keeps what it was asked."""

import http.server
import json
import threading


class FakeJudge(http.server.ThreadingHTTPServer):
    """Answers by a function of the question and of how many there were."""

    daemon_threads = True

    def __init__(self, reply):
        self.reply = reply
        self.asked = []
        self.together = self.most_together = 0
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        judge = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with judge.lock:
            judge.asked.append((self.path, self.headers.get("Authorization"), body))
            judge.together += 1
            judge.most_together = max(judge.most_together, judge.together)
            place = len(judge.asked)
        reply = judge.reply(body["messages"][0]["content"], place)
        with judge.lock:
            judge.together -= 1
        status, headers, content = reply if isinstance(reply, tuple) else (200, {}, reply)
        if isinstance(content, str):
            content = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            pass  # nobody waits for it any more

    def log_message(self, *_):
        pass


def parts(question):
    """The two answers of a question."""
    first = question.split("[Answer A]\n")[1].split("\n\n[Answer B]")[0]
    second = question.split("[Answer B]\n")[1].split("\n\nWhich answer")[0]
    return first, second


def longer(question, _place=0):
    """The verdict for the longer answer."""
    first, second = parts(question)
    return "A" if len(first) > len(second) else "B"
