/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* descriptors - as many open files as there may be, and a word before they run out */
#pragma once

struct descriptors;
struct loop;

/* Raise the process's limit to what it may want, as far as it may. ZeroMQ ends the
 * process when there is none left for a connection. */
void descriptors_raise(void);
/* Look every few seconds whether nine of ten are in use, and say so once until it is
 * over (DESCRIPTORS_SHORT). To be stopped before the loop is freed. */
struct descriptors *descriptors_watch(struct loop *loop);
void descriptors_unwatch(struct descriptors *descriptors); /* NULL is fine */
