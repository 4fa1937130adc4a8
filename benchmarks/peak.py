"""This machine's peak of fused multiply-adds on one core, measured in the rounds of what it stands beside."""

from graphc.codegen.peak import multiply_adds as peak_probe

__all__ = ["peak_probe"]
