"""The workers, in running order.

context    detection.MarketStructureDetector, detection.FairValueGapDetector, detection.StructureRegime
opportunity, threat    judgement.GapRetrace, judgement.StructureThreat
planning, execution    decision.FixedRiskPlanner, decision.SignalExecution
"""
