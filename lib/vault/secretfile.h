/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* secretfile - a secret in a file that nobody else can read */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf;

enum { SECRET_SIZE_MAX = 8 << 10 };

/* Append the content, without one newline at its end. The file must be regular and no link, belong to us or to root, and give
 * nothing to group and others. False with a reason in error[] that names the path, never the content. */
bool secretfile_read(const char *path, struct buf *out, char *error, size_t error_size);
/* The same for a file of at most size_max bytes. */
bool secretfile_read_large(const char *path, size_t size_max, struct buf *out, char *error, size_t error_size);
/* Write a new file, mode 0600, whole or not at all, and make file and name durable; fails when there is one. */
bool secretfile_create(const char *path, const void *bytes, size_t n, char *error, size_t error_size);
/* Replace the file whole or not at all: a temporary one beside it is written, synced and renamed. */
bool secretfile_replace(const char *path, const void *bytes, size_t n, char *error, size_t error_size);
