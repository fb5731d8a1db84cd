/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* deliver - the process: one consumer group, one address */
#pragma once

/* The whole of main(). */
int deliver_main(int argc, char **argv);
