/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/store/pages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A segment file of any content: it is refused with a reason, or every page that LMDB
 * would follow lies within it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct pages_facts facts = {0};
    char why[256] = "";
    int fd = memfd_create("segment", MFD_CLOEXEC);

    assert(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    if (pages_glance(fd, &facts, why, sizeof(why)) == PAGES_OK) {
        assert(facts.file_size == n);
        assert((facts.last_page + 1) * PAGES_SIZE <= n);
        if (pages_check(fd, facts.txn, /* free_too= */ 1, why, sizeof(why)))
            assert(*why);
    } else {
        assert(*why);
    }
    close(fd);
    return 0;
}
