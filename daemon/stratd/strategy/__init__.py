"""What users write, and what runs it.

thread            StrategyThread, LOOP TWO: one strategy in a thread of its own
base              Strategy: the class that users extend
params            StrategyParams: its parameters
context           StrategyContext: what a strategy sees, and how it acts
plugin            loads strategies from files and modules, each under its own name
desk              Desk: the strategy's side of its account
scope             the container of one strategy
catch_up          CatchUp: how it comes again to where it stopped
kept_state        KeptState: what it keeps for a restart
caretaker         Caretaker: stands in for one that is gone
manager           StrategyManager: all strategy threads of a session
signals           signals as they were emitted
context_provider  TradingContextProvider: what the workers of one strategy share while one tick is processed
tick_cache        TickCacheManager: starts and ends ticks from notifications
workers/          strategies made of workers: Worker, WorkerFactory, Workforce, WorkforceStrategy
"""
