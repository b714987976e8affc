"""How much each node has earned: evidence of this node's own, and what others say, within bounds."""
