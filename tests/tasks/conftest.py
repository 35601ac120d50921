from __future__ import annotations

import torch

# As at a hospital (client/app.py): sums in one order, and test processes that do not fight over processors.
torch.set_num_threads(1)
