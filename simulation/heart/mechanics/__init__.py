"""The heart's work: muscle, seventeen segments around one cavity, valves and the circulation behind them."""
