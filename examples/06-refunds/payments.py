"""A tool's other end for trying out: POST /refund pays money back, POST /undo takes that back; once for each Idempotency-Key."""

import http.server
import json

PAID: dict[str, str] = {}  # what was paid, by Idempotency-Key


class Payments(http.server.BaseHTTPRequestHandler):
    """Pays, logs each payment, and answers a repeated call as it answered the first."""

    def do_POST(self) -> None:
        """200 with what was paid, or taken back."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        if key not in PAID:
            PAID[key] = json.dumps(self._done(asked, f"p{len(PAID) + 1}"))
            self.log_message("%s: %s for %s", self.path, PAID[key], key)
        body = PAID[key].encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _done(self, asked: dict[str, str], payment: str) -> dict[str, str]:
        if self.path == "/undo":
            return {"undone": asked["payment"]}
        return {"order": asked["order"], "refunded": asked["amount"], "payment": payment}


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", 18918), Payments).serve_forever()
