// The extension as the editor starts it, with the server that `SPHC` names.

const assert = require("node:assert");
const { test } = require("node:test");
const { install } = require("./editor.js");

const settings = { path: process.env.SPHC };
const editor = install(settings);
const extension = require("../extension.js");
const context = { subscriptions: [] };

test("it starts the server, which reports what is wrong in a document", { timeout: 120_000 }, async () => {
    assert.ok(settings.path, "SPHC names the program");
    await extension.activate(context);
    assert.deepStrictEqual(editor.shown, []);
    const uri = editor.api.Uri.file("/nowhere/wrong.sph");
    const text = "param width = widht\n";
    const reported = new Promise((done) => {
        editor.told.on(() => editor.diagnostics.get(uri.toString())?.length && done());
    });
    editor.opened.fire({ uri, languageId: "sph", version: 1, getText: () => text, isClosed: false });
    await reported;
    const [first] = editor.diagnostics.get(uri.toString());
    assert.match(first.message, /undefined name `widht`/);
    await extension.deactivate();
});

test("a program that is not there is told with what to do", { timeout: 120_000 }, async () => {
    settings.path = "/nowhere/sphc";
    await extension.activate(context);
    // The client has a message of its own.
    const ours = editor.shown.filter((it) => /`\/nowhere\/sphc lsp` does not start: .*sphc\.path/.test(it));
    assert.strictEqual(ours.length, 1, editor.shown.join("\n"));
    await extension.deactivate();
});
