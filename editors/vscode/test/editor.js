// A stand-in for the part of the editor's interface that the extension and its client need: enough to start the server, and to
// open a document. What is not listed is a class, a function or an event that does nothing.

const Module = require("node:module");

class Uri {
    constructor(text) {
        this.text = text;
        this.scheme = text.split(":")[0];
        this.fsPath = text.replace(/^file:\/\//, "");
        this.path = this.fsPath;
    }
    static parse(text) {
        return new Uri(text);
    }
    static file(path) {
        return new Uri(`file://${path}`);
    }
    toString() {
        return this.text;
    }
}

class Event {
    constructor() {
        this.listeners = [];
    }
    on = (listener, self) => {
        this.listeners.push(listener.bind(self));
        return { dispose() {} };
    };
    fire(it) {
        this.listeners.forEach((listener) => listener(it));
    }
}

/// What is asked for by a name that nobody listed.
function anything(name) {
    if (/^on[A-Z]/.test(name)) {
        return () => ({ dispose() {} });
    }
    if (/^(register|create)/.test(name)) {
        return () => filled({ dispose() {}, set() {}, clear() {}, delete() {}, append() {}, appendLine() {} });
    }
    const made = class {
        dispose() {}
    };
    return filled(made);
}

/// An object that has everything.
function filled(known) {
    return new Proxy(known, {
        get(target, name) {
            if (name in target || typeof name === "symbol" || name === "then") {
                return target[name];
            }
            target[name] = anything(name);
            return target[name];
        },
    });
}

/// The module `vscode`, with settings and what was shown to the user.
exports.install = (settings) => {
    const opened = new Event();
    const shown = [];
    const diagnostics = new Map();
    const told = new Event();
    const api = filled({
        Uri,
        version: "1.100.0",
        env: { appName: "stand-in", language: "en" },
        EventEmitter: class {
            constructor() {
                this.inner = new Event();
                this.event = this.inner.on;
            }
            fire(it) {
                this.inner.fire(it);
            }
            dispose() {}
        },
        Position: class {
            constructor(line, character) {
                Object.assign(this, { line, character });
            }
        },
        Range: class {
            constructor(a, b, c, d) {
                Object.assign(this, c === undefined ? { start: a, end: b } : { start: { line: a, character: b }, end: { line: c, character: d } });
            }
        },
        Diagnostic: class {
            constructor(range, message, severity) {
                Object.assign(this, { range, message, severity });
            }
        },
        DiagnosticSeverity: { Error: 0, Warning: 1, Information: 2, Hint: 3 },
        CancellationTokenSource: class {
            token = { isCancellationRequested: false, onCancellationRequested: () => ({ dispose() {} }) };
            cancel() {}
            dispose() {}
        },
        workspace: filled({
            textDocuments: [],
            notebookDocuments: [],
            workspaceFolders: undefined,
            getConfiguration: () => ({ get: (name, otherwise) => settings[name] ?? otherwise }),
            createFileSystemWatcher: () => filled({ dispose() {} }),
            onDidOpenTextDocument: opened.on,
        }),
        window: filled({
            visibleTextEditors: [],
            tabGroups: filled({ all: [] }),
            createOutputChannel: () => filled({ append() {}, appendLine() {}, show() {}, dispose() {} }),
            showErrorMessage: async (text) => void shown.push(text),
        }),
        languages: filled({
            match: (selector, document) => ([].concat(selector).some((it) => it.language === document.languageId) ? 10 : 0),
            createDiagnosticCollection: () => ({
                set(uri, list) {
                    diagnostics.set(uri.toString(), list);
                    told.fire();
                },
                delete: (uri) => diagnostics.delete(uri.toString()),
                clear: () => diagnostics.clear(),
                dispose() {},
            }),
        }),
    });
    const usual = Module._load;
    Module._load = (name, ...rest) => (name === "vscode" ? api : usual(name, ...rest));
    return { api, opened, shown, diagnostics, told };
};
