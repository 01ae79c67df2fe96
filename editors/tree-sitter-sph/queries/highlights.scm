; What is not a name of its own here is told by the server's semantic tokens.

(comment) @comment
(number) @number
(boolean) @boolean
(string) @string
(text) @string
(hole ["{" "}"] @punctuation.special)

[
  "import" "param" "operator" "fn" "block" "layer" "model" "train"
  "optimizer" "schedule" "penalty" "average" "loss" "metric"
  "input" "let" "learn" "keep" "stat" "output" "assert"
  "as" "shared" "beside" "on" "where" "every"
] @keyword
["if" "else"] @keyword.conditional
["for" "in"] @keyword.repeat
["and" "or" "not"] @keyword.operator

["|>" "=" "==" "!=" "<=" ">=" "<" ">" ".." "+" "-" "*" "/" "%" "^"] @operator
["," ":"] @punctuation.delimiter
["{" "}" "[" "]" ")"] @punctuation.bracket

(param name: (identifier) @constant)
(operator name: (identifier) @function)
(function name: (identifier) @function)
(block name: (identifier) @type)
(recipe_item name: (identifier) @type)
(model name: (identifier) @module)
(parameter name: (identifier) @variable.parameter)
(parameter type: (type) @type.builtin)
(param type: (type) @type.builtin)
(input type: (identifier) @type.builtin)
(argument name: (identifier) @property)
(entry key: (identifier) @property)
(call callee: (identifier) @function.call)
(pipe callee: (identifier) @function.call)
