// Where a statement ends: at the end of its line, unless a bracket is open (then the parser does not ask), the next line starts
// with `|>`, or goes on with `else`. And numbers, which no letter may follow.

#include "tree_sitter/parser.h"

enum Token { NEWLINE, NUMBER, ERROR_SENTINEL };

void *tree_sitter_sph_external_scanner_create(void) { return NULL; }
void tree_sitter_sph_external_scanner_destroy(void *payload) { (void)payload; }
unsigned tree_sitter_sph_external_scanner_serialize(void *payload, char *buffer) {
    (void)payload;
    (void)buffer;
    return 0;
}
void tree_sitter_sph_external_scanner_deserialize(void *payload, const char *buffer, unsigned length) {
    (void)payload;
    (void)buffer;
    (void)length;
}

static bool is_end(int32_t sign) { return sign == '\n' || sign == '\r'; }

/// Whether the words that follow are `text`.
static bool follows(TSLexer *lexer, const char *text) {
    for (; *text; text++) {
        if (lexer->lookahead != *text) return false;
        lexer->advance(lexer, false);
    }
    return true;
}

static bool is_word(int32_t sign) {
    return sign == '_' || (sign >= '0' && sign <= '9') || (sign >= 'a' && sign <= 'z') || (sign >= 'A' && sign <= 'Z');
}

static bool is_digit(int32_t sign) { return sign >= '0' && sign <= '9'; }

static void digits(TSLexer *lexer) {
    while (is_digit(lexer->lookahead) || lexer->lookahead == '_') lexer->advance(lexer, false);
}

/// `64_000`, `0.5`, `1e-3`; of `0..3` the `0`.
static bool number(TSLexer *lexer) {
    digits(lexer);
    lexer->mark_end(lexer);
    lexer->result_symbol = NUMBER;
    if (lexer->lookahead == '.') {
        lexer->advance(lexer, false);
        if (!is_digit(lexer->lookahead)) return true;
        digits(lexer);
        lexer->mark_end(lexer);
    }
    if (lexer->lookahead == 'e' || lexer->lookahead == 'E') {
        lexer->advance(lexer, false);
        if (lexer->lookahead == '+' || lexer->lookahead == '-') lexer->advance(lexer, false);
        if (!is_digit(lexer->lookahead)) return false;
        digits(lexer);
        lexer->mark_end(lexer);
    }
    return !is_word(lexer->lookahead);
}

bool tree_sitter_sph_external_scanner_scan(void *payload, TSLexer *lexer, const bool *valid) {
    (void)payload;
    // After a mistake everything is valid, and lines tell nothing.
    if (valid[ERROR_SENTINEL]) return false;
    while (lexer->lookahead == ' ' || lexer->lookahead == '\t' || (is_end(lexer->lookahead) && !valid[NEWLINE]))
        lexer->advance(lexer, true);
    if (valid[NUMBER] && is_digit(lexer->lookahead)) return number(lexer);
    if (!valid[NEWLINE] || !is_end(lexer->lookahead)) return false;
    lexer->advance(lexer, false);
    lexer->mark_end(lexer);
    lexer->result_symbol = NEWLINE;
    // What comes next, behind empty lines and comments.
    for (;;) {
        while (lexer->lookahead == ' ' || lexer->lookahead == '\t' || is_end(lexer->lookahead)) lexer->advance(lexer, false);
        if (lexer->lookahead != '/') break;
        lexer->advance(lexer, false);
        if (lexer->lookahead != '/') return true;
        while (!lexer->eof(lexer) && !is_end(lexer->lookahead)) lexer->advance(lexer, false);
    }
    if (lexer->lookahead == '|') return !follows(lexer, "|>");
    if (lexer->lookahead == 'e') return !(follows(lexer, "else") && !is_word(lexer->lookahead));
    return true;
}
