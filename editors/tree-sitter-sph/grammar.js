// The grammar of `.sph` files for editors. `grammar/sph.pest` decides what the language is; `editors/test.sh` holds both to the same
// texts. A statement ends with its line: the scanner (`src/scanner.c`) tells where that is,
// and reads numbers.

/// One or more, with commas between them and perhaps behind the last.
const list = (rule) => seq(rule, repeat(seq(",", rule)), optional(","));

/// One on each line.
const lines = ($, rule) => seq(repeat($._newline), optional(seq(rule, repeat(seq(repeat1($._newline), rule)), repeat($._newline))));

/// Words that begin a statement only where one can follow; elsewhere they are names.
const WORDS = ["input", "learn", "keep", "stat", "output", "assert"];

module.exports = grammar({
    name: "sph",
    word: ($) => $.identifier,
    extras: ($) => [/[\s\uFEFF]/, $.comment],
    externals: ($) => [$._newline, $.number, $._error_sentinel],
    inline: ($) => [$._name],
    supertypes: ($) => [$.expression],

    rules: {
        file: ($) => lines($, $._item),

        comment: () => token(seq("//", /[^\r\n]*/)),
        identifier: () => /[A-Za-z_][A-Za-z0-9_]*/,
        _name: ($) => choice($.identifier, alias(choice(...WORDS), $.identifier)),

        _item: ($) => choice($.import, $.param, $.operator, $.function, $.block, $.recipe_item, $.model, $.train),
        import: ($) => seq("import", field("path", $.string)),
        param: ($) => seq("param", field("name", $._name), optional(seq(":", field("type", $.type))), "=", field("default", $.expression)),
        operator: ($) => seq("operator", field("name", $._name), $.parameters, $._definition),
        function: ($) => seq("fn", field("name", $._name), $.parameters, $._definition),
        block: ($) =>
            seq(choice("block", "layer"), field("name", $._name), $.parameters, optional(seq("beside", $.string)), $._definition),
        recipe_item: ($) =>
            seq(
                choice("optimizer", "schedule", "penalty", "average", "loss", "metric"),
                field("name", $._name),
                $.parameters,
                optional(seq("as", field("column", $._name))),
                $._definition,
            ),
        model: ($) => seq("model", field("name", $._name), field("body", $.body)),
        train: ($) => seq("train", "{", lines($, $.entry), "}"),
        _definition: ($) => choice(seq("=", field("body", $.expression)), field("body", $.body)),

        parameters: ($) => seq("(", optional(list($.parameter)), ")"),
        parameter: ($) =>
            seq(field("name", $._name), optional(seq(":", field("type", $.type))), optional(seq("=", field("default", $.expression)))),
        type: ($) => choice($._name, seq("[", $.type, "]")),
        dims: ($) => seq("[", list($.expression), "]"),

        body: ($) => seq("{", lines($, $._statement), "}"),
        _statement: ($) =>
            choice(
                $.input,
                $.let,
                $.for,
                $.assert,
                $.output,
                $.learn,
                $.keep,
                $.stat,
                $.assignment,
                alias($.expression, $.value),
            ),
        input: ($) => seq("input", field("name", $._name), ":", field("type", $._name), $.dims),
        let: ($) =>
            seq("let", field("name", $._name), optional(seq(":", choice(field("type", $._name), $.dims))), "=", field("value", $.expression)),
        for: ($) =>
            seq("for", field("name", $._name), optional(seq(",", field("name", $._name))), "in", field("list", $.expression), $.body),
        assert: ($) => prec(1, seq("assert", $.expression, optional(seq(",", $.string)))),
        output: ($) => prec(1, seq("output", optional(seq(field("name", $._name), "=")), $.expression)),
        learn: ($) =>
            seq("learn", field("name", $._name), optional(seq("as", field("role", $._name))), ":", $._extents, "=", $.expression),
        keep: ($) => seq("keep", field("name", $._name), "=", $.expression),
        stat: ($) => seq("stat", field("name", $._name), optional(seq(":", choice($.extents, $.call))), "=", $.expression),
        _extents: ($) => choice($.extents, $.call, field("scope", $._name)),
        extents: ($) => seq("[", optional(list($.expression)), "]"),
        assignment: ($) =>
            seq(field("name", $._name), repeat(seq(",", field("name", $._name))), "=", field("value", $.expression)),

        entry: ($) =>
            seq(
                field("key", $._name),
                optional(seq($.expression, repeat(seq(",", $.expression)), optional($.names))),
                repeat(choice($.on, $.where, $.every)),
            ),
        names: ($) => seq($._name, repeat(seq(",", $._name))),
        on: ($) => seq("on", $._name, repeat(seq(",", $._name))),
        where: ($) => seq("where", $.expression),
        every: ($) => seq("every", $.expression),

        expression: ($) => choice($.binary, $.pipe, $.named, $.unary, $._term),
        binary: ($) =>
            choice(
                ...[
                    [4, ["or"]],
                    [5, ["and"]],
                    [6, ["==", "!=", "<=", ">=", "<", ">"]],
                    [7, [".."]],
                    [8, ["+", "-"]],
                    [9, ["*", "/", "%"]],
                ].map(([level, signs]) => prec.left(level, seq($.expression, signs.length === 1 ? signs[0] : choice(...signs), $.expression))),
                prec.right(10, seq($.expression, "^", $.expression)),
            ),
        unary: ($) => prec(11, seq(choice("-", "not"), $.expression)),
        pipe: ($) => prec.left(2, seq($.expression, "|>", field("callee", $._name), optional($.arguments))),
        named: ($) => prec.left(2, seq($.expression, "as", optional("shared"), $.string)),
        _term: ($) => choice($.if, $.number, $.string, $.list, $.group, $.boolean, $.call, $._name, $.index),
        index: ($) => prec(12, seq($._term, token.immediate("["), $.expression, "]")),
        if: ($) =>
            prec.right(
                seq(
                    "if",
                    $.expression,
                    $.body,
                    repeat(prec(1, seq("else", "if", $.expression, $.body))),
                    optional(seq("else", $.body)),
                ),
            ),
        list: ($) => seq("[", optional(list($.expression)), "]"),
        group: ($) => seq("(", $.expression, ")"),
        call: ($) => prec(1, seq(field("callee", $._name), $.arguments)),
        // On the line of what is called.
        arguments: ($) => seq(token.immediate(/[ \t]*\(/), optional(list($.argument)), ")"),
        argument: ($) => seq(optional(seq(field("name", $._name), ":")), $.expression),
        boolean: () => choice("true", "false"),
        string: ($) => seq('"', repeat(choice($.text, $.hole)), token.immediate('"')),
        text: () => token.immediate(prec(1, /([^"{}\\\r\n]|\\[nt\\"]|\{\{|\}\})+/)),
        hole: ($) => seq(token.immediate("{"), $.expression, "}"),
    },
});
