/* SPDX-License-Identifier: MIT
 * The states of threads (running or runnable, blocked, waiting for the GIL), and the proof that a
 * thread slept: its switch count, read before and after its memory.
 */
#ifndef PYSAMPLE_THREADSTATE_H
#define PYSAMPLE_THREADSTATE_H

#include "threads.h"

/* Reads what the kernel says of a thread, once a sample: state, system call and switches, the
 * run-queue delay that came to it (ns, added to `waited`), and whether it was woken from the sleep
 * it was seen in. Where the kernel does not say: as os.h tells. */
void threadstate_read(struct threads *t, struct os_thread *os);

/* Whether it waits for the GIL of `size` bytes at the address `gil`: in futex(2), on a word of it.
 */
bool threadstate_on_gil(const struct os_thread *os, uint64_t gil, uint64_t size);

/* Whether it was proven asleep when its stack was read, and not put on a processor since. */
bool threadstate_asleep(const struct thread *th, const struct os_thread *os);

/* First in a sample, before any memory is read: what the kernel says of the threads known. True:
 * all of them slept through since the last sample, so that nothing in the process can have changed.
 */
bool threadstate_before(struct threads *t);

/* Last in a sample: whether threads that were asleep before still are, so that what was read is
 * exact. Clears `exact_switches` of the others. */
void threadstate_after(struct threads *t);

#endif
