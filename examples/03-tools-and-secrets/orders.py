"""A tool's other end for trying out: GET /orders?order=17, for callers that know the key."""

import http.server
import json

KEY = "only-for-trying-out"
ORDERS = {"17": "on its way, due on Friday", "18": "delivered"}


class Orders(http.server.BaseHTTPRequestHandler):
    """Looks orders up; prints each request."""

    def do_GET(self) -> None:
        """200 with the order's state, 401 without the key, 404 for what is unknown."""
        order = self.path.rpartition("order=")[2]
        if self.headers["x-api-key"] != KEY:
            self.answer(401, {"error": "who are you?"})
        elif order not in ORDERS:
            self.answer(404, {"error": "no such order"})
        else:
            self.answer(200, {"order": order, "state": ORDERS[order]})

    def answer(self, status: int, document: dict[str, str]) -> None:
        """Send JSON."""
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", 18917), Orders).serve_forever()
