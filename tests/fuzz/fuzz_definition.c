/* Any text as a workflow definition: an error names line and column; what is accepted obeys every
 * rule, reads the same again, and survives being stored. */
#include "engine/core/definition_bytes.h"
#include "engine/definition_yaml.h"
#include "tests/fuzz/seeds.h"

#include <ctype.h>
#include <string.h>

/* "fuzz:LINE:COLUMN: …" */
static bool names_a_place(const char *text) {
    const char *at = text;
    if (strncmp(at, "fuzz:", 5) != 0)
        return false;
    at += 5;
    for (int i = 0; i < 2; i++) {
        if (!isdigit((unsigned char)*at))
            return false;
        while (isdigit((unsigned char)*at))
            at++;
        if (*at++ != ':')
            return false;
    }
    return true;
}

/* Its bytes in a snapshot bring it back. */
static void check_stored(const struct definition *definition) {
    struct bytes_buffer bytes;
    struct definition *read = NULL;
    bytes_buffer_init(&bytes);
    definition_write(&bytes, definition);
    struct bytes_reader reader = bytes_reader_make(bytes.data, bytes.size);
    fuzz_require(definition_read(&reader, &read, NULL) == WF_OK && bytes_reader_done(&reader) &&
                     definition_equal(definition, read),
                 "what is stored reads the same");
    definition_destroy(read);
    bytes_buffer_deinit(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct definition *first = NULL;
    struct definition *again = NULL;
    struct wf_error err = {0};
    const char *text = (const char *)data;
    enum wf_status status = definition_parse(size == 0 ? "" : text, size, "fuzz", &first, &err);
    if (status != WF_OK) {
        fuzz_require(status == WF_USAGE && first == NULL, "a refusal is the text's fault");
        fuzz_require(names_a_place(err.text), "and names line and column");
        return 0;
    }
    fuzz_require(definition_check(first, &err) == WF_OK, "an accepted definition obeys the rules");
    fuzz_require(definition_stuck_stage(first) < 0, "every stage can be reached and completed");
    status = definition_parse(first->source, strlen(first->source), "fuzz", &again, &err);
    fuzz_require(status == WF_OK && definition_equal(first, again), "its source reads the same");
    check_stored(first);
    definition_destroy(again);
    definition_destroy(first);
    return 0;
}
