/* SPDX-License-Identifier: MIT
 * What a client wants to have, by its Accept and Accept-Encoding headers (RFC 9110, section 12.5).
 */
#ifndef EXPORTER_NEGOTIATE_H
#define EXPORTER_NEGOTIATE_H

#include <stdbool.h>

#include "page.h"

/* The format to answer with, and its Content-Type. `accept` may be NULL. Whoever asks for neither
 * gets text 0.0.4, which every scraper reads. */
enum page_format negotiate_format(const char *accept, const char **content_type);

/* True when gzip may be sent. `accept_encoding` may be NULL. */
bool negotiate_gzip(const char *accept_encoding);

#endif
