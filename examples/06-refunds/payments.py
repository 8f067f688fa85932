"""A tool's other end for trying out: POST /refund pays money back, once for each Idempotency-Key."""

import http.server
import json

PAID: dict[str, str] = {}  # what was paid, by Idempotency-Key


class Payments(http.server.BaseHTTPRequestHandler):
    """Pays, logs each payment, and answers a repeated call as it answered the first."""

    def do_POST(self) -> None:
        """200 with what was paid."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        if key not in PAID:
            PAID[key] = json.dumps({"order": asked["order"], "refunded": asked["amount"]})
            self.log_message("paid %s for %s", PAID[key], key)
        body = PAID[key].encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", 18918), Payments).serve_forever()
