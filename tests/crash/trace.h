/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* trace - what a program did to the files of one directory, in the order it did it
 *
 * Written by disk.c, one record a write(2) to a file opened with O_APPEND, so that the
 * records of several threads and processes stand in one order. A change stands in the
 * trace before it is made, a barrier after it returned: whoever reads it never takes for
 * durable what was not. */
#pragma once
#include <stdint.h>

enum trace_op {
    TRACE_WRITE = 1,  /* payload: the bytes */
    TRACE_ZERO,       /* `len` zeros, without payload */
    TRACE_SIZE,       /* the file is `len` bytes long now */
    TRACE_DONE,       /* the write with this token was O_DSYNC and has returned */
    TRACE_SYNC_BEGIN, /* fsync or fdatasync is called; `at` is 1 for the directory */
    TRACE_SYNC_END,   /* the one with this token returned 0 */
    TRACE_SYNC_LOST, /* it failed: the kernel may have thrown away what it could not write
                      */
    TRACE_CREATE,    /* payload: the name */
    TRACE_RENAME,    /* payload: old name, 0, new name */
    TRACE_UNLINK,    /* payload: the name */
    TRACE_ACK,       /* payload: what was said on standard output */
    TRACE_FAILED,    /* a call failed because it was told to */
};

struct trace_record {
    uint32_t op, payload; /* bytes that follow, without padding */
    uint64_t file;        /* its inode */
    uint64_t at, len;     /* of a write: where, how much */
    uint64_t token;       /* joins the two halves of a call */
};
