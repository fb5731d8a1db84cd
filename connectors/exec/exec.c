/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* exec - a program of any kind as a connector
 *
 * What it can do is in its own manifest, so there is no table here: the runtime reads it,
 * runs the program's workers and speaks the lines of docs/guide/exec.md with them. */
#include <signalbox/connector.h>

int main(int argc, char **argv)
{
    return sb_program_main(argc, argv);
}
