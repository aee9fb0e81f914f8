"""What may not be done: limits before an order, limits while it runs, the kill switch.

limits          RiskLimits
checks          kernels: what is checked before an order, and watched while it runs
system_monitor  SystemRiskMonitor: what is watched of the whole book
kill_switch     KillSwitch: a file that stops trading
"""
