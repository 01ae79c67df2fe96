#!/usr/bin/env bash
# Tests of what editors get: the tree-sitter grammar against `grammar/sph.pest`, the TextMate grammar against the server, the extension
# for VS Code against the server, and that it packages. Needs a C compiler, Python and Node; `SPHC` names the program. Where
# `TREE_SITTER` names that program, the parser is generated anew, and must be the one that is here.
set -euo pipefail
cd "$(dirname "$0")/.."
export SPHC="${SPHC:-$PWD/target/debug/sphc}"
place=target/editors
mkdir -p "$place"

echo "== tree-sitter"
grammar=editors/tree-sitter-sph
if [ -n "${TREE_SITTER:-}" ]; then
    (cd "$grammar" && "$TREE_SITTER" generate --js-runtime node)
    git diff --exit-code -- "$grammar/src"
fi
cc -O1 -shared -fPIC -I "$grammar/src" "$grammar/src/parser.c" "$grammar/src/scanner.c" -o "$place/sph.so"
venv="$place/venv"
[ -d "$venv" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet tree-sitter==0.26.1; }
"$venv/bin/python" "$grammar/check.py" "$SPHC" "$PWD/$place/sph.so"

echo "== VS Code"
cd editors/vscode
[ -d node_modules ] || npm install --no-package-lock --no-fund --no-audit --silent
npm test --silent
npm run --silent package > /dev/null
[ -s sphc.vsix ]
