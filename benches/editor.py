"""How long an editor waits for `sphc lsp`: requests right after an edit, and the diagnostics of it.

`benches/editor.py PROGRAM` prints medians in ms for generated models of 500 and 5000 lines, one layer a line.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time

HEAD = """block unit(x, filters: int) {
    x |> sphere_conv(filters, operator: linear) |> batch_norm(decay: 0.5) |> relu
}

model Deep {
    input image: u8[8, 8, 1]
    x = (image - 8) / 8
"""
TAIL = """    output conv(x, classes, kernel: 8, pad: valid) as "score"
}

train {
    data       digits
    batch      4
    iterations 10
    loss       softmax_cross_entropy
    penalty    l2(5e-4) on filters
    optimizer  adam(rate: 1e-3)
}
"""
ROUNDS = 9
REQUESTS = [
    "completion",
    "hover",
    "signatureHelp",
    "definition",
    "references",
    "rename",
    "semanticTokens/full",
    "documentSymbol",
    "inlayHint",
    "formatting",
]
# What these need besides a place.
MORE = {
    "references": {"context": {"includeDeclaration": True}},
    "rename": {"newName": "part"},
    "formatting": {"options": {"tabSize": 4, "insertSpaces": True}},
}


def model(lines):
    layers = lines - HEAD.count("\n") - TAIL.count("\n")
    return HEAD + "".join(f'    x = unit(x, 16) as "conv{at}"\n' for at in range(layers)) + TAIL


class Client:
    def __init__(self, program):
        self.cache = tempfile.TemporaryDirectory()
        words = [program, "lsp", "--cache", self.cache.name]
        self.server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.asked = 0
        self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        self.tell("initialized", {})

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.server.stdin.flush()

    def tell(self, method, params):
        self.send({"method": method, "params": params})

    def receive(self):
        length = 0
        while line := self.server.stdout.readline().strip():
            name, value = line.split(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return json.loads(self.server.stdout.read(length))

    def ask(self, method, params):
        self.asked += 1
        self.send({"id": self.asked, "method": method, "params": params})
        while (found := self.receive()).get("id") != self.asked or "method" in found:
            pass
        assert "result" in found, found
        return found["result"]

    def diagnostics(self, wanted):
        """The next that have a code, or none."""
        while True:
            found = self.receive()
            if found.get("method") == "textDocument/publishDiagnostics":
                codes = [it["code"] for it in found["params"]["diagnostics"]]
                if (wanted in codes) if wanted else not codes:
                    return


def measure(program, lines):
    client, text, uri = Client(program), model(lines), "file:///deep.sph"
    start = time.perf_counter()
    client.tell("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "sph", "version": 1, "text": text}})
    client.diagnostics(None)
    print(f"{lines:>5} lines  {'opened, with all diagnostics':<34} {(time.perf_counter() - start) * 1e3:8.1f} ms")
    line, version = lines // 2, 1

    def edit(start, end, text):
        nonlocal version
        version += 1
        place = {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}
        params = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [{"range": place, "text": text}]}
        client.tell("textDocument/didChange", params)

    for request in REQUESTS:
        times = []
        for at in range(ROUNDS):
            begun = time.perf_counter()
            # What is laid out is not as it should be.
            edit(15, 16, "  ") if request == "formatting" else edit(17, 18, "24"[at % 2])
            place = {"line": line, "character": 17 if request == "signatureHelp" else 9}
            ends = {"start": {"line": line - 20, "character": 0}, "end": {"line": line + 40, "character": 0}}
            params = {"textDocument": {"uri": uri}, "position": place, "range": ends, **MORE.get(request, {})}
            client.ask(f"textDocument/{request}", params)
            times.append((time.perf_counter() - begun) * 1e3)
        print(f"{lines:>5} lines  {'edit, then ' + request:<34} {statistics.median(times):8.1f} ms")
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        edit(8, 12, "unti")
        client.diagnostics("E0101")
        times.append((time.perf_counter() - begun) * 1e3)
        edit(8, 12, "unit")
        client.diagnostics(None)
    print(f"{lines:>5} lines  {'edit that is wrong, then its report':<34} {statistics.median(times):8.1f} ms")
    client.server.kill()


for lines in (500, 5000):
    measure(sys.argv[1], lines)
