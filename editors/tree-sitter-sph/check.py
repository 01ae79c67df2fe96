"""The grammar of editors against the one that decides: every model of the repository is taken by both, or by neither.

`check.py SPHC GRAMMAR.so`; needs the package `tree-sitter`. A text is taken by `sphc fmt -` where it parses.
"""

import ctypes
import os
import pathlib
import subprocess
import sys

import tree_sitter

ROOT = pathlib.Path(__file__).resolve().parents[2]


def models():
    """Every model, but for what was built or fetched."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(it for it in folders if not it.startswith(".") and it not in ("target", "node_modules"))
        yield from (pathlib.Path(folder, it) for it in sorted(files) if it.endswith(".sph"))


def takes(sphc, text):
    """Whether it parses; a layout that cannot be made of what does would be said in other words."""
    run = subprocess.run([sphc, "fmt", "-"], input=text, capture_output=True)
    # How large a number may be is no matter of grammar.
    refused = b"it does not parse" in run.stderr
    if b"the number is too large" in run.stderr:
        return True
    assert refused or run.returncode == 0, run.stderr.decode()
    return not refused


def first_mistake(node):
    """The first node that is a mistake."""
    if node.is_error or node.is_missing:
        return node
    return next((found for it in node.children if it.has_error and (found := first_mistake(it))), node)


def main():
    sphc, library = sys.argv[1:]
    make = ctypes.CDLL(library).tree_sitter_sph
    make.restype = ctypes.c_void_p
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    language = tree_sitter.Language(capsule(make(), b"tree_sitter.Language", None))
    query = (pathlib.Path(__file__).parent / "queries/highlights.scm").read_text()
    colours = tree_sitter.QueryCursor(tree_sitter.Query(language, query))
    parser = tree_sitter.Parser(language)
    wrong, taken, refused = [], 0, 0
    for path in models():
        text = path.read_bytes()
        root = parser.parse(text).root_node
        wanted = takes(sphc, text)
        taken, refused = taken + wanted, refused + (not wanted)
        if wanted == root.has_error:
            place = first_mistake(root)
            line, column = place.start_point
            wrong.append(f"{path.relative_to(ROOT)}:{line + 1}:{column + 1}: {'not ' * wanted}taken here, unlike by sphc")
        elif wanted:
            found = colours.captures(root)
            assert "keyword" in found or not root.named_children, path
    print("\n".join(wrong))
    print(f"{taken} texts taken, {refused} refused, {len(wrong)} otherwise")
    assert taken > 100 and refused > 50, "too few to tell anything"
    sys.exit(bool(wrong))


main()
