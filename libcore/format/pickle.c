#include "format/pickle.h"

#include "format/pickle_opcodes.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_BYTES = 1 << 16,
    MAX_STACK = 1 << 22, /* values waiting at once; torch needs a few thousand */
    MAX_NUMBER_TEXT = 400,
};

typedef const ego_pickle_value *slot;

typedef struct slots {
    slot *at;
    size_t count, cap;
} slots;

/* One run of the machine. */
typedef struct machine {
    ego_pickle *pickle;
    const uint8_t *data;
    size_t n, at;
    slots stack, memo;
    size_t *marks; /* stack heights at each MARK */
    size_t mark_count, mark_cap;
} machine;

static ego_err no_memory(void) { return ego_fail(EGO_ENOMEM, "pickle: out of memory"); }

#define bad(m, what)                                                                               \
    ego_fail(EGO_EFORMAT, "pickle: %s before offset %zu of %zu", (what), (m)->at, (m)->n)

/* ---- values -------------------------------------------------------------------------------------- */

void ego_pickle_init(ego_pickle *pickle) {
    *pickle = (ego_pickle){0};
    ego_arena_init(&pickle->arena, BLOCK_BYTES);
}

void ego_pickle_release(ego_pickle *pickle) {
    ego_arena_release(&pickle->arena);
    ego_pickle_init(pickle);
}

/* The arena rounds every request up to 64 bytes; values are smaller, so they are cut from blocks. */
static ego_err take(ego_pickle *pickle, size_t bytes, void **out) {
    bytes = (bytes + 7) / 8 * 8;
    if (bytes > pickle->block_left) {
        size_t block = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        if (block > EGO_PICKLE_MAX_MEMORY - pickle->arena.used)
            return ego_fail(EGO_EFORMAT, "pickle: its values need more than %d MiB",
                            EGO_PICKLE_MAX_MEMORY >> 20);
        if (!(pickle->block = ego_arena_alloc(&pickle->arena, block))) return no_memory();
        pickle->block_left = block;
    }
    *out = pickle->block;
    pickle->block += bytes;
    pickle->block_left -= bytes;
    return EGO_OK;
}

static ego_err new_value(machine *m, ego_pickle_kind kind, ego_pickle_value **value) {
    void *p;
    EGO_TRY(take(m->pickle, sizeof **value, &p));
    *value = p;
    **value = (ego_pickle_value){.kind = kind};
    return EGO_OK;
}

static ego_err add_item(ego_pickle *pickle, ego_pickle_item **first, ego_pickle_item **last,
                        slot key, slot value) {
    void *p;
    EGO_TRY(take(pickle, sizeof(ego_pickle_item), &p));
    ego_pickle_item *item = p;
    *item = (ego_pickle_item){.key = key, .value = value};
    if (*last)
        (*last)->next = item;
    else
        *first = item;
    *last = item;
    return EGO_OK;
}

static ego_err append_item(machine *m, ego_pickle_value *to, slot key, slot value) {
    EGO_TRY(add_item(m->pickle, &to->first, &to->last, key, value));
    to->count++;
    return EGO_OK;
}

/* ---- stack and memo ------------------------------------------------------------------------------ */

static ego_err reserve(slots *s, size_t count) {
    if (count <= s->cap) return EGO_OK;
    size_t cap = s->cap ? s->cap : 256;
    while (cap < count) cap *= 2;
    slot *at = realloc(s->at, cap * sizeof *at);
    if (!at) return no_memory();
    s->at = at;
    s->cap = cap;
    return EGO_OK;
}

static ego_err push(machine *m, slot value) {
    if (m->stack.count == MAX_STACK) return bad(m, "stack too deep");
    EGO_TRY(reserve(&m->stack, m->stack.count + 1));
    m->stack.at[m->stack.count++] = value;
    return EGO_OK;
}

/* The stack never shrinks below the latest mark: what lies there belongs to the outer level. */
static size_t stack_floor(const machine *m) {
    return m->mark_count ? m->marks[m->mark_count - 1] : 0;
}

static ego_err pop(machine *m, slot *value) {
    if (m->stack.count == stack_floor(m)) return bad(m, "stack empty");
    *value = m->stack.at[--m->stack.count];
    return EGO_OK;
}

static ego_err top(machine *m, slot *value) {
    if (m->stack.count == stack_floor(m)) return bad(m, "stack empty");
    *value = m->stack.at[m->stack.count - 1];
    return EGO_OK;
}

static ego_err push_mark(machine *m) {
    if (m->mark_count == m->mark_cap) {
        size_t cap = m->mark_cap ? m->mark_cap * 2 : 64;
        size_t *marks = cap <= MAX_STACK ? realloc(m->marks, cap * sizeof *marks) : NULL;
        if (!marks) return bad(m, "too many marks");
        m->marks = marks;
        m->mark_cap = cap;
    }
    m->marks[m->mark_count++] = m->stack.count;
    return EGO_OK;
}

/* The values above the latest mark, which is taken away; the caller cuts the stack to *from. */
static ego_err pop_mark(machine *m, size_t *from) {
    if (!m->mark_count) return bad(m, "no mark");
    *from = m->marks[--m->mark_count];
    return EGO_OK;
}

/* Picklers number the memo from 0 as they write, so an index is below the bytes of input. */
static ego_err memo_put(machine *m, uint64_t index) {
    slot value = NULL;
    EGO_TRY(top(m, &value));
    if (index >= m->n || index >= MAX_STACK) return bad(m, "memo index too large");
    EGO_TRY(reserve(&m->memo, (size_t)index + 1));
    while (m->memo.count <= index) m->memo.at[m->memo.count++] = NULL;
    m->memo.at[index] = value;
    return EGO_OK;
}

static ego_err memo_get(machine *m, uint64_t index) {
    if (index >= m->memo.count || !m->memo.at[index]) return bad(m, "memo index never set");
    return push(m, m->memo.at[index]);
}

/* ---- input --------------------------------------------------------------------------------------- */

static ego_err take_bytes(machine *m, uint64_t n, const uint8_t **bytes) {
    if (n > m->n - m->at)
        return ego_fail(EGO_EFORMAT, "pickle: cut short: %zu bytes, more expected", m->n);
    *bytes = m->data + m->at;
    m->at += (size_t)n;
    return EGO_OK;
}

/* A little-endian number of `width` bytes. */
static ego_err take_number(machine *m, int width, uint64_t *value) {
    const uint8_t *p;
    EGO_TRY(take_bytes(m, (uint64_t)width, &p));
    *value = 0;
    for (int i = width - 1; i >= 0; i--) *value = *value << 8 | p[i];
    return EGO_OK;
}

/* A line without its '\n'. */
static ego_err take_line(machine *m, const char **line, size_t *n) {
    const uint8_t *p = m->data + m->at;
    const uint8_t *end = m->at < m->n ? memchr(p, '\n', m->n - m->at) : NULL;
    if (!end) return bad(m, "line without end");
    *line = (const char *)p;
    *n = (size_t)(end - p);
    m->at += *n + 1;
    return EGO_OK;
}

/* ---- scalars ------------------------------------------------------------------------------------- */

static ego_err push_integer(machine *m, ego_pickle_kind kind, int64_t integer) {
    ego_pickle_value *value = NULL;
    EGO_TRY(new_value(m, kind, &value));
    value->integer = integer;
    return push(m, value);
}

static ego_err push_real(machine *m, double real) {
    ego_pickle_value *value = NULL;
    EGO_TRY(new_value(m, EGO_PICKLE_FLOAT, &value));
    value->real = real;
    return push(m, value);
}

static ego_err push_text(machine *m, ego_pickle_kind kind, const char *text, size_t n) {
    ego_pickle_value *value = NULL;
    EGO_TRY(new_value(m, kind, &value));
    value->text.bytes = text;
    value->text.length = n;
    return push(m, value);
}

static ego_err push_counted(machine *m, ego_pickle_kind kind, int width) {
    uint64_t n;
    const uint8_t *bytes;
    EGO_TRY(take_number(m, width, &n));
    EGO_TRY(take_bytes(m, n, &bytes));
    return push_text(m, kind, (const char *)bytes, (size_t)n);
}

static ego_err push_long(machine *m, int width) {
    uint64_t n, value = 0;
    const uint8_t *p;
    EGO_TRY(take_number(m, width, &n));
    EGO_TRY(take_bytes(m, n, &p));
    if (!n) return push_integer(m, EGO_PICKLE_INT, 0);
    bool negative = p[n - 1] & 0x80;
    if (n > 8) return push_integer(m, EGO_PICKLE_INT, negative ? INT64_MIN : INT64_MAX);
    if (negative) value = UINT64_MAX;
    for (size_t i = (size_t)n; i-- > 0;) value = value << 8 | p[i];
    int64_t integer;
    memcpy(&integer, &value, sizeof integer);
    return push_integer(m, EGO_PICKLE_INT, integer);
}

/* The numbers of protocol 0, as text. The point of strtod follows the locale; such floats are settings
 * of things that are passed over, so all that matters is that the machine goes on. */
static ego_err push_number_line(machine *m, bool real) {
    const char *line;
    size_t n;
    char text[MAX_NUMBER_TEXT + 1];
    EGO_TRY(take_line(m, &line, &n));
    if (n > MAX_NUMBER_TEXT) return bad(m, "number too long");
    memcpy(text, line, n);
    text[n] = 0;
    if (real) return push_real(m, strtod(text, NULL));
    if (strcmp(text, "00") == 0 || strcmp(text, "01") == 0)
        return push_integer(m, EGO_PICKLE_BOOL, text[1] == '1');
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || (*end && *end != 'L')) return bad(m, "not a number");
    return push_integer(m, EGO_PICKLE_INT, value);
}

static ego_err push_binfloat(machine *m) {
    const uint8_t *p;
    uint64_t bits = 0;
    double real;
    EGO_TRY(take_bytes(m, 8, &p));
    for (int i = 0; i < 8; i++) bits = bits << 8 | p[i];
    memcpy(&real, &bits, sizeof real);
    return push_real(m, real);
}

/* Protocol 0 writes strings as Python literals. Names have no escapes; others keep theirs as written. */
static ego_err push_string_line(machine *m, bool quoted) {
    const char *line;
    size_t n;
    EGO_TRY(take_line(m, &line, &n));
    if (quoted) {
        if (n < 2 || (line[0] != '\'' && line[0] != '"') || line[n - 1] != line[0])
            return bad(m, "string without quotes");
        line++;
        n -= 2;
    }
    return push_text(m, EGO_PICKLE_STRING, line, n);
}

/* ---- classes and objects ------------------------------------------------------------------------- */

static ego_err push_global(machine *m, const char *module, size_t module_n, const char *name,
                           size_t name_n) {
    void *p;
    ego_pickle_value *value = NULL;
    size_t n = module_n + 1 + name_n;
    EGO_TRY(take(m->pickle, n + 1, &p));
    char *text = p;
    memcpy(text, module, module_n);
    text[module_n] = '.';
    memcpy(text + module_n + 1, name, name_n);
    text[n] = 0;
    EGO_TRY(new_value(m, EGO_PICKLE_GLOBAL, &value));
    value->text.bytes = text;
    value->text.length = n;
    return push(m, value);
}

static ego_err push_global_lines(machine *m) {
    const char *module, *name;
    size_t module_n, name_n;
    EGO_TRY(take_line(m, &module, &module_n));
    EGO_TRY(take_line(m, &name, &name_n));
    return push_global(m, module, module_n, name, name_n);
}

static ego_err push_stack_global(machine *m) {
    slot module = NULL, name = NULL;
    EGO_TRY(pop(m, &name));
    EGO_TRY(pop(m, &module));
    if (module->kind != EGO_PICKLE_STRING || name->kind != EGO_PICKLE_STRING)
        return bad(m, "a class name that is not a string");
    return push_global(m, module->text.bytes, module->text.length, name->text.bytes,
                       name->text.length);
}

static ego_err push_object(machine *m, slot callee, slot args) {
    ego_pickle_value *value = NULL;
    EGO_TRY(new_value(m, EGO_PICKLE_OBJECT, &value));
    value->callee = callee;
    value->args = args;
    return push(m, value);
}

static ego_err set_state(machine *m) {
    slot state = NULL, object = NULL;
    EGO_TRY(pop(m, &state));
    EGO_TRY(top(m, &object));
    /* Everything on the stack was made by new_value; only the views handed out are const. */
    if (object->kind == EGO_PICKLE_OBJECT)
        ((ego_pickle_value *)(uintptr_t)object)->state = state;
    return EGO_OK;
}

/* A class known by name alone: sets, and what an extension code or outside buffer stands for. */
static ego_err push_named_object(machine *m, const char *module, const char *name, slot args) {
    slot callee = NULL;
    EGO_TRY(push_global(m, module, strlen(module), name, strlen(name)));
    EGO_TRY(pop(m, &callee));
    return push_object(m, callee, args);
}

/* REDUCE, NEWOBJ (callee, arguments) and NEWOBJ_EX (and a dict of keywords, dropped). */
static ego_err call(machine *m, bool keywords) {
    slot callee = NULL, args = NULL, dropped = NULL;
    if (keywords) EGO_TRY(pop(m, &dropped));
    EGO_TRY(pop(m, &args));
    EGO_TRY(pop(m, &callee));
    return push_object(m, callee, args);
}

static ego_err push_persistent(machine *m, slot id) {
    ego_pickle_value *value = NULL;
    EGO_TRY(new_value(m, EGO_PICKLE_PERSISTENT, &value));
    value->args = id;
    EGO_TRY(add_item(m->pickle, &m->pickle->persistent_first, &m->pickle->persistent_last, NULL,
                     value));
    return push(m, value);
}

/* ---- containers ---------------------------------------------------------------------------------- */

static ego_err collect(machine *m, ego_pickle_value *to, size_t from, bool pairs) {
    size_t n = m->stack.count - from;
    if (pairs && n % 2) return bad(m, "a key without a value");
    for (size_t i = from; i < m->stack.count; i += pairs ? 2 : 1)
        EGO_TRY(pairs ? append_item(m, to, m->stack.at[i], m->stack.at[i + 1])
                      : append_item(m, to, NULL, m->stack.at[i]));
    m->stack.count = from;
    return EGO_OK;
}

static ego_err push_collected(machine *m, ego_pickle_kind kind, size_t from) {
    ego_pickle_value *value = NULL;
    EGO_TRY(new_value(m, kind, &value));
    EGO_TRY(collect(m, value, from, kind == EGO_PICKLE_DICT));
    return push(m, value);
}

static ego_err push_from_mark(machine *m, ego_pickle_kind kind) {
    size_t from;
    EGO_TRY(pop_mark(m, &from));
    return push_collected(m, kind, from);
}

static ego_err push_last(machine *m, ego_pickle_kind kind, size_t n) {
    if (m->stack.count - stack_floor(m) < n) return bad(m, "stack empty");
    return push_collected(m, kind, m->stack.count - n);
}

/* Adds what lies above `from` to the container just below it. */
static ego_err fill(machine *m, size_t from, bool pairs) {
    if (from <= stack_floor(m)) return bad(m, "stack empty");
    /* Everything on the stack was made by new_value; only the views handed out are const. */
    ego_pickle_value *to = (ego_pickle_value *)(uintptr_t)m->stack.at[from - 1];
    bool fits =
        to->kind == EGO_PICKLE_OBJECT || to->kind == (pairs ? EGO_PICKLE_DICT : EGO_PICKLE_LIST);
    if (!fits) return bad(m, pairs ? "a dict was expected" : "a list was expected");
    return collect(m, to, from, pairs);
}

static ego_err fill_from_mark(machine *m, bool pairs) {
    size_t from;
    EGO_TRY(pop_mark(m, &from));
    return fill(m, from, pairs);
}

/* OBJ: mark, class, arguments; INST: mark, arguments, and the class in two lines. */
static ego_err instantiate(machine *m, bool class_in_lines) {
    size_t from;
    slot callee = NULL, args = NULL;
    if (class_in_lines) {
        EGO_TRY(push_global_lines(m));
        EGO_TRY(pop(m, &callee));
    }
    EGO_TRY(pop_mark(m, &from));
    if (!class_in_lines) {
        if (from == m->stack.count) return bad(m, "stack empty");
        callee = m->stack.at[from];
        EGO_TRY(push_collected(m, EGO_PICKLE_TUPLE, from + 1));
        EGO_TRY(pop(m, &args));
        m->stack.count = from;
    } else {
        EGO_TRY(push_collected(m, EGO_PICKLE_TUPLE, from));
        EGO_TRY(pop(m, &args));
    }
    return push_object(m, callee, args);
}

/* ---- the machine --------------------------------------------------------------------------------- */

static ego_err push_empty(machine *m, ego_pickle_kind kind) {
    ego_pickle_value *value = NULL;
    EGO_TRY(new_value(m, kind, &value));
    return push(m, value);
}

static ego_err step_memo(machine *m, int op) {
    const char *line;
    char text[24] = "";
    size_t n;
    uint64_t index = 0;
    switch (op) {
    case BINGET: EGO_TRY(take_number(m, 1, &index)); return memo_get(m, index);
    case LONG_BINGET: EGO_TRY(take_number(m, 4, &index)); return memo_get(m, index);
    case BINPUT: EGO_TRY(take_number(m, 1, &index)); return memo_put(m, index);
    case LONG_BINPUT: EGO_TRY(take_number(m, 4, &index)); return memo_put(m, index);
    case MEMOIZE: return memo_put(m, m->memo.count);
    default: break;
    }
    EGO_TRY(take_line(m, &line, &n)); /* GET and PUT: in decimal */
    if (n >= sizeof text) return bad(m, "memo index too long");
    memcpy(text, line, n);
    index = strtoull(text, NULL, 10);
    return op == GET ? memo_get(m, index) : memo_put(m, index);
}

static ego_err step_scalar(machine *m, int op) {
    uint64_t value;
    switch (op) {
    case NONE: return push_empty(m, EGO_PICKLE_NONE);
    case NEWTRUE: return push_integer(m, EGO_PICKLE_BOOL, 1);
    case NEWFALSE: return push_integer(m, EGO_PICKLE_BOOL, 0);
    case BININT1: EGO_TRY(take_number(m, 1, &value)); break;
    case BININT2: EGO_TRY(take_number(m, 2, &value)); break;
    case BININT:
        EGO_TRY(take_number(m, 4, &value));
        return push_integer(m, EGO_PICKLE_INT, (int64_t)(value ^ 0x80000000u) - 0x80000000);
    case INT:
    case LONG: return push_number_line(m, false);
    case LONG1: return push_long(m, 1);
    case LONG4: return push_long(m, 4);
    case FLOAT: return push_number_line(m, true);
    case BINFLOAT: return push_binfloat(m);
    case STRING: return push_string_line(m, true);
    case UNICODE: return push_string_line(m, false);
    case SHORT_BINSTRING:
    case SHORT_BINUNICODE: return push_counted(m, EGO_PICKLE_STRING, 1);
    case BINSTRING:
    case BINUNICODE: return push_counted(m, EGO_PICKLE_STRING, 4);
    case BINUNICODE8: return push_counted(m, EGO_PICKLE_STRING, 8);
    case SHORT_BINBYTES: return push_counted(m, EGO_PICKLE_BYTES, 1);
    case BINBYTES: return push_counted(m, EGO_PICKLE_BYTES, 4);
    case BINBYTES8:
    case BYTEARRAY8: return push_counted(m, EGO_PICKLE_BYTES, 8);
    default: return bad(m, "not an opcode");
    }
    return push_integer(m, EGO_PICKLE_INT, (int64_t)value);
}

static ego_err step_container(machine *m, int op) {
    switch (op) {
    case EMPTY_DICT: return push_empty(m, EGO_PICKLE_DICT);
    case EMPTY_LIST: return push_empty(m, EGO_PICKLE_LIST);
    case EMPTY_TUPLE: return push_empty(m, EGO_PICKLE_TUPLE);
    case EMPTY_SET: return push_named_object(m, "builtins", "set", NULL);
    case DICT: return push_from_mark(m, EGO_PICKLE_DICT);
    case LIST: return push_from_mark(m, EGO_PICKLE_LIST);
    case TUPLE: return push_from_mark(m, EGO_PICKLE_TUPLE);
    case TUPLE1: return push_last(m, EGO_PICKLE_TUPLE, 1);
    case TUPLE2: return push_last(m, EGO_PICKLE_TUPLE, 2);
    case TUPLE3: return push_last(m, EGO_PICKLE_TUPLE, 3);
    case FROZENSET: {
        slot members = NULL;
        EGO_TRY(push_from_mark(m, EGO_PICKLE_TUPLE));
        EGO_TRY(pop(m, &members));
        return push_named_object(m, "builtins", "frozenset", members);
    }
    case APPENDS:
    case ADDITEMS: return fill_from_mark(m, false);
    case SETITEMS: return fill_from_mark(m, true);
    case APPEND:
        if (m->stack.count < stack_floor(m) + 2) return bad(m, "stack empty");
        return fill(m, m->stack.count - 1, false);
    case SETITEM:
        if (m->stack.count < stack_floor(m) + 3) return bad(m, "stack empty");
        return fill(m, m->stack.count - 2, true);
    default: return step_scalar(m, op);
    }
}

static ego_err step_object(machine *m, int op) {
    slot value = NULL;
    uint64_t number;
    switch (op) {
    case GLOBAL: return push_global_lines(m);
    case STACK_GLOBAL: return push_stack_global(m);
    case REDUCE:
    case NEWOBJ: return call(m, false);
    case NEWOBJ_EX: return call(m, true);
    case INST: return instantiate(m, true);
    case OBJ: return instantiate(m, false);
    case BUILD: return set_state(m);
    case PERSID:
        EGO_TRY(push_string_line(m, false));
        EGO_TRY(pop(m, &value));
        return push_persistent(m, value);
    case BINPERSID: EGO_TRY(pop(m, &value)); return push_persistent(m, value);
    case EXT1:
    case EXT2:
    case EXT4:
        EGO_TRY(take_number(m, op == EXT1 ? 1 : op == EXT2 ? 2 : 4, &number));
        return push_named_object(m, "copyreg", "extension", NULL);
    case NEXT_BUFFER: return push_named_object(m, "pickle", "PickleBuffer", NULL);
    case READONLY_BUFFER: return top(m, &value);
    default: return step_container(m, op);
    }
}

static ego_err step(machine *m, int op) {
    slot value = NULL;
    uint64_t number;
    size_t from;
    switch (op) {
    case PROTO:
        EGO_TRY(take_number(m, 1, &number));
        if (number > HIGHEST_PROTOCOL)
            return ego_fail(EGO_EUNSUPPORTED, "pickle: protocol %d, at most %d is read",
                            (int)number, HIGHEST_PROTOCOL);
        return EGO_OK;
    case FRAME: return take_number(m, 8, &number); /* a hint for readers of pipes */
    case MARK: return push_mark(m);
    case POP:
        if (m->mark_count && m->stack.count == stack_floor(m)) return pop_mark(m, &from);
        return pop(m, &value);
    case POP_MARK:
        EGO_TRY(pop_mark(m, &from));
        m->stack.count = from;
        return EGO_OK;
    case DUP: EGO_TRY(top(m, &value)); return push(m, value);
    case GET:
    case BINGET:
    case LONG_BINGET:
    case PUT:
    case BINPUT:
    case LONG_BINPUT:
    case MEMOIZE: return step_memo(m, op);
    default: return step_object(m, op);
    }
}

ego_err ego_pickle_read(ego_pickle *pickle, const uint8_t *data, size_t n, size_t *used,
                        const ego_pickle_value **root) {
    ego_err err = EGO_OK;
    machine m = {.pickle = pickle, .data = data, .n = n};
    for (;;) {
        if (m.at == n)
            EGO_TRY_OUT(ego_fail(EGO_EFORMAT, "pickle: cut short: no end within %zu bytes", n));
        int op = data[m.at++];
        if (op == STOP) break;
        EGO_TRY_OUT(step(&m, op));
    }
    EGO_TRY_OUT(pop(&m, root));
    *used = m.at;
out:
    free(m.stack.at);
    free(m.memo.at);
    free(m.marks);
    return err;
}

/* ---- asking -------------------------------------------------------------------------------------- */

const char *ego_pickle_type(const ego_pickle_value *value) {
    static const char *const names[] = {
#define KIND_NAME(name, text) text,
        EGO_PICKLE_KINDS(KIND_NAME)
#undef KIND_NAME
    };
    if (!value) return "nothing";
    if (value->kind == EGO_PICKLE_OBJECT && value->callee &&
        value->callee->kind == EGO_PICKLE_GLOBAL)
        return value->callee->text.bytes;
    return names[value->kind];
}

bool ego_pickle_is_text(const ego_pickle_value *value, const char *text) {
    return value && value->kind == EGO_PICKLE_STRING && value->text.length == strlen(text) &&
           memcmp(value->text.bytes, text, value->text.length) == 0;
}

bool ego_pickle_is_global(const ego_pickle_value *value, const char *name) {
    return value && value->kind == EGO_PICKLE_GLOBAL && strcmp(value->text.bytes, name) == 0;
}

bool ego_pickle_integer(const ego_pickle_value *value, int64_t *integer) {
    if (!value || value->kind != EGO_PICKLE_INT) return false;
    *integer = value->integer;
    return true;
}

const ego_pickle_value *ego_pickle_element(const ego_pickle_value *value, size_t i) {
    if (!value || (value->kind != EGO_PICKLE_TUPLE && value->kind != EGO_PICKLE_LIST)) return NULL;
    const ego_pickle_item *item = value->first;
    while (item && i--) item = item->next;
    return item ? item->value : NULL;
}
