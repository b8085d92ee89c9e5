/* SPDX-License-Identifier: MIT
 * Where CPython keeps things: ONE table, a row per version. Offsets are in bytes from the start of
 * the object.
 *
 * Sources: the headers in Include/internal and the DWARF of CPython 3.12.1 and 3.13.0. The layouts
 * of Task and Future are private to _asyncio: they are checked against the live types at attach
 * (tasks_check), and a mismatch is refused.
 */
#ifndef PYSAMPLE_LAYOUT_H
#define PYSAMPLE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

struct mem;

struct layout {
    uint32_t first, last; /* Py_Version >> 8 (0x030c01 is 3.12.1), both included */
    const char *name;
    /* _PyRuntime. With debug offsets (3.13+) interpreters.head is read from the runtime itself. */
    uint16_t rt_interpreters_head, rt_initialized;
    uint16_t
        rt_debug_head; /* where the runtime says the offset of interpreters.head, 0 = nowhere */
    uint16_t rt_debug_free_threaded;
    /* PyInterpreterState */
    uint16_t is_next, is_id, is_threads, is_modules, is_gil, is_gc_collecting;
    /* struct _gil_runtime_state */
    uint16_t gil_last_holder, gil_locked, gil_size;
    /* PyThreadState; the current frame is *(ts_cframe + cframe_current), or at ts_frame where there
     * is no cframe. */
    uint16_t ts_next, ts_native_id, ts_cframe, ts_frame;
    uint16_t ts_dict,
        ts_running_loop; /* the running loop: in the thread's dict (3.12) or in a field */
    /* _PyInterpreterFrame */
    uint16_t fr_code, fr_previous, fr_instr, fr_stacktop, fr_owner, fr_locals;
    /* PyCodeObject */
    uint16_t co_size, co_flags, co_stacksize, co_firstlineno, co_nlocalsplus, co_filename,
        co_qualname, co_linetable, co_code;
    /* PyGenObject and the like: state and the frame within */
    uint16_t gen_state, gen_frame;
    int8_t gen_created, gen_suspended, gen_yield_from,
        gen_executing; /* gen_yield_from 1 = told by the bytecode */
    uint8_t op_resume, op_resume_instrumented, op_resume_check;
    /* _asyncio */
    uint16_t fut_loop, fut_callback0, fut_callbacks, fut_state, fut_basicsize;
    uint16_t task_waiter, task_coro, task_name, task_basicsize;
    /* _queue.SimpleQueue: a list and where it begins (3.12), or a ring (3.13) */
    uint16_t sq_list, sq_ring;
    /* objects */
    uint16_t
        dict_values_skip; /* bytes before the first value of a split dict or of inline values */
    uint16_t inline_in_object; /* 1: inline values follow the object; 0: pointer with its low bit
                                  set before it */
    uint16_t type_cached_keys;
};

/* The same in all versions supported. */
enum {
    OB_TYPE = 8,
    WRAPPED = 16, /* asend.ags_gen, athrow.agt_gen, coroutine_wrapper, anext_awaitable, FutureIter,
                     weakref, cell */
    MODULE_DICT = 16,
    METHOD_FUNC = 16,
    METHOD_SELF = 24,
    FUNC_CODE = 48,
    FUNC_CLOSURE = 72,
    TUPLE_SIZE = 16,
    TUPLE_ITEMS = 24,
    LIST_SIZE = 16,
    LIST_ITEMS = 24,
    SET_FILL = 16,
    SET_MASK = 32,
    SET_TABLE = 40,
    SQ_LIST_BEGIN = 8, /* from sq_list */
    SQ_RING_GET = 8,   /* from sq_ring */
    SQ_RING_ITEMS = 16,
    SQ_RING_CAP = 24,
    SQ_RING_USED = 32,
    DICT_USED = 16,
    DICT_KEYS = 32,
    DICT_VALUES = 40,
    KEYS_LOG2_INDEX_BYTES = 9,
    KEYS_KIND = 10,
    KEYS_NENTRIES = 24,
    KEYS_INDICES = 32,
    TYPE_NAME = 24,
    TYPE_BASICSIZE = 32,
    TYPE_FLAGS = 168,
    TYPE_ITERNEXT = 224,
    TYPE_BASE = 256,
    TYPE_DICTOFFSET = 288,
    STR_LENGTH = 16,
    STR_STATE = 32,
    STR_ASCII = 40,
    STR_COMPACT = 56,
    BYTES_SIZE = 16,
    BYTES_DATA = 32,
    INT_TAG = 16,
    INT_DIGIT = 24,
    FLOAT_VALUE = 16,
    FRAME_OWNER_GENERATOR = 1,
    TIMER_WHEN = 80, /* the slot of _when, behind those of Handle */
    FRAME_OWNER_CSTACK = 3,
    TYPE_FLAG_INLINE_VALUES = 1 << 2,
    TYPE_FLAG_MANAGED_DICT = 1 << 4,
    TYPE_FLAG_HEAP = 1 << 9,
};

/* The row for a Py_Version (0x030c01f0), or NULL. */
const struct layout *layout_find(uint32_t version);

/* The versions that have a row, for messages: "3.12, 3.13". */
const char *layout_versions(void);

#endif
