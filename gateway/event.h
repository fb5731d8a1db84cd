/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* event - POST /v1/events: CloudEvents 1.0 into the log
 *
 * Binary (ce-* headers), structured (application/cloudevents+json) and batch
 * (application/cloudevents-batch+json). Beside the standard's attributes: `key` or
 * `partitionkey` orders, `integration` addresses a request, `service` names the service.
 * A type that ends in .requested is a request, any other a fact. */
#pragma once

struct gateway;
struct http_request;

void event_publish(struct gateway *gateway, struct http_request *request,
                   const char *const *params);
