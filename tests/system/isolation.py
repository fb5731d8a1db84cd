# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""Charges beside models that fail: what a failing provider costs the others. For the test of that promise, and for bench."""
import threading
import time

import harness

CALLERS, CALLS = 2, 60
BACKGROUND_PER_S = 40
FAULTS = [{"kind": "500"}, {"kind": "429", "retry_after": 1}, {"kind": "cut"}, {"kind": "slow", "ms": 2000}, {"kind": "garbage"}]
MODELS = """  models:
    connector: ai
    provider: openai
    service: OpenAI
    base_url: http://127.0.0.1:{port}/openai/v1
    allow_private_network: true
    secrets: {{ api_key: file:models_key }}
    limits: {{ timeout: 300ms, attempts: 3, concurrency: 8 }}
    options: {{ model: practice }}
"""


class Two(harness.System):
    """Stripe, and the models that will fail."""

    def __init__(self, directory, build=None):
        super().__init__(directory, build=build, secrets={"models_key": "sk-test"})

    def write_config(self):
        self.integrations = MODELS.format(port=self.sandbox.port)
        super().write_config()

    def __enter__(self):
        super().__enter__()
        self.call("payment.charge", {"amount": 100, "currency": "usd", "payment_method": "pm_card_visa"})
        self.call("ai.chat", {"messages": [{"role": "user", "content": "x"}]})
        return self

    def ask_models(self, over):
        """The same stream of calls, whatever becomes of them."""
        while not over.wait(1 / BACKGROUND_PER_S):
            status, _, body = self.api("POST", "/v1/calls/ai/chat?wait=0", {"messages": [{"role": "user", "content": "x"}]})
            assert status in (202, 503), body

    def charges(self, times):
        for _ in range(CALLS):
            begin = time.perf_counter()
            status, body = self.charge(amount=100)
            times.append((time.perf_counter() - begin) * 1000)
            assert status == 200, body

    def p99_ms(self, fault=None):
        """Of charges, while the models are asked and, with a fault, fail."""
        over, times = threading.Event(), []
        threads = [threading.Thread(target=self.charges, args=(times,)) for _ in range(CALLERS)]
        background = threading.Thread(target=self.ask_models, args=(over,))
        if fault:
            self.sandbox.fault(provider="openai", rate=1, **fault)
        background.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        background.join()
        self.sandbox.no_faults()
        assert len(times) == CALLERS * CALLS
        return sorted(times)[int(len(times) * 0.99) - 1]
