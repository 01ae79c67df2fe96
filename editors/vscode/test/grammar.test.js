// The colours of the TextMate grammar against what the server says of every word: comments, strings, numbers, keywords and the
// names of definitions, in every model of the repository that is sound.

const assert = require("node:assert");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { test } = require("node:test");
const rpc = require("vscode-languageserver-protocol/node");
const oniguruma = require("vscode-oniguruma");
const textmate = require("vscode-textmate");

const root = path.join(__dirname, "../../..");

/// Every model of the repository, but for what was built or fetched.
function models(folder) {
    return fs.readdirSync(folder, { withFileTypes: true }).flatMap((it) => {
        const place = path.join(folder, it.name);
        if (it.isDirectory()) {
            return /^(\.|target$|node_modules$)/.test(it.name) ? [] : models(place);
        }
        return it.name.endsWith(".sph") ? [place] : [];
    });
}

async function grammar() {
    const wasm = fs.readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
    await oniguruma.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength));
    const registry = new textmate.Registry({
        onigLib: Promise.resolve({
            createOnigScanner: (sources) => new oniguruma.OnigScanner(sources),
            createOnigString: (text) => new oniguruma.OnigString(text),
        }),
        loadGrammar: async (scope) => {
            const file = path.join(__dirname, "../syntaxes/sph.tmLanguage.json");
            return scope === "source.sph" ? textmate.parseRawGrammar(fs.readFileSync(file, "utf8"), file) : null;
        },
    });
    return registry.loadGrammar("source.sph");
}

/// The scopes at each column of each line.
function scopes(grammar, lines) {
    let stack = textmate.INITIAL;
    return lines.map((line) => {
        const found = grammar.tokenizeLine(line, stack);
        stack = found.ruleStack;
        const columns = [];
        found.tokens.forEach((it) => columns.fill(it.scopes, columns.push(...Array(it.endIndex - it.startIndex)) - (it.endIndex - it.startIndex)));
        return columns;
    });
}

/// What a kind of word must have among its scopes.
const expected = {
    comment: /^comment\./,
    string: /^string\./,
    number: /^constant\.numeric/,
    keyword: /^(keyword|storage|constant\.language|support\.type)/,
};

test("the colours are those that the server knows", { timeout: 600_000 }, async () => {
    const rules = await grammar();
    const server = spawn(process.env.SPHC, ["lsp"], { stdio: ["pipe", "pipe", "ignore"] });
    const client = rpc.createMessageConnection(server.stdout, server.stdin);
    client.listen();
    const able = await client.sendRequest("initialize", { processId: null, rootUri: null, capabilities: {} });
    const legend = able.capabilities.semanticTokensProvider.legend.tokenTypes;
    await client.sendNotification("initialized", {});
    const wrong = [];
    let words = 0;
    for (const file of models(root)) {
        const text = fs.readFileSync(file, "utf8");
        const uri = `file://${file}`;
        const textDocument = { uri, languageId: "sph", version: 1, text };
        await client.sendNotification("textDocument/didOpen", { textDocument });
        const formatted = await client.sendRequest("textDocument/formatting", { textDocument: { uri }, options: { tabSize: 4, insertSpaces: true } });
        const { data } = await client.sendRequest("textDocument/semanticTokens/full", { textDocument: { uri } });
        await client.sendNotification("textDocument/didClose", { textDocument: { uri } });
        // Of a text that does not parse, nobody can say what a word is.
        if (formatted === null) {
            continue;
        }
        const lines = text.split(/\r?\n/);
        const found = scopes(rules, lines);
        let [line, column] = [0, 0];
        for (let at = 0; at < data.length; at += 5) {
            column = data[at] === 0 ? column + data[at + 1] : data[at + 1];
            line += data[at];
            const rule = expected[legend[data[at + 3]]];
            if (rule) {
                words += 1;
                if (!found[line][column].some((it) => rule.test(it))) {
                    const word = lines[line].slice(column, column + data[at + 2]);
                    wrong.push(`${file}:${line + 1}: \`${word}\` is a ${legend[data[at + 3]]}, not ${found[line][column].join(" ")}`);
                }
            }
        }
    }
    await client.sendRequest("shutdown");
    await client.sendNotification("exit");
    assert.deepStrictEqual(wrong, []);
    assert.ok(words > 5000, `${words} words`);
});
