#include "control/config_table.h"

#include "base/alloc.h"

struct rc_config_memory {
    struct rc_config_memory *next;
    _Alignas(max_align_t) char bytes[];
};

void *rc_config_alloc(struct rc_config_memory **memory, size_t size)
{
    struct rc_config_memory *piece = rc_calloc(1, sizeof(*piece) + size);
    piece->next = *memory;
    *memory = piece;
    return piece->bytes;
}

void rc_config_memory_free(struct rc_config_memory *memory)
{
    while (memory != NULL) {
        struct rc_config_memory *next = memory->next;
        free(memory);
        memory = next;
    }
}
