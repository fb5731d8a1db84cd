/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* template - the files that `connector new` writes, from cli/connector/template/;
 * "@NAME@" in them stands for the connector's name */
#pragma once

struct template_file {
    const char *path;         /* "c/connector.c": the language, then the file */
    const char *const *lines; /* each with its end; ended by NULL */
};

/* Ended by a NULL path. */
extern const struct template_file template_files[];
