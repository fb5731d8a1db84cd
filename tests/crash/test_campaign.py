# SPDX-FileCopyrightText: The signalbox authors
# SPDX-License-Identifier: Apache-2.0
"""The campaign of kills and cuts with small numbers; the large ones are run by hand (campaign.py)."""
import io

import campaign
import faults


def test_a_short_campaign():
    run = campaign.Campaign(seed=1, out=io.StringIO())
    faults.need_root()
    is_good = run.run(faults.ROUNDS * 2, max(faults.ROUNDS // 2, 4), 0)
    print(run.summary())
    assert is_good, run.summary()
