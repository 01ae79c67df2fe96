// Starts `sphc lsp` and leaves the rest to it.

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function start() {
    const command = vscode.workspace.getConfiguration("sphc").get("path");
    client = new LanguageClient(
        "sphc",
        "sphc",
        { command, args: ["lsp"] },
        {
            documentSelector: [{ language: "sph" }],
            synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/*.sph") },
        },
    );
    try {
        await client.start();
    } catch (cause) {
        vscode.window.showErrorMessage(
            `sphc: \`${command} lsp\` does not start: ${cause.message}. Install sphc, or set \`sphc.path\`.`,
        );
    }
}

async function activate(context) {
    context.subscriptions.push(
        vscode.workspace.onDidChangeConfiguration(async (change) => {
            if (change.affectsConfiguration("sphc.path")) {
                await deactivate();
                await start();
            }
        }),
    );
    await start();
}

async function deactivate() {
    const old = client;
    client = undefined;
    // One that never started has nothing to stop.
    if (old?.isRunning()) {
        await old.stop();
    }
}

module.exports = { activate, deactivate };
