"""The namespace and what bounds it: quota, default limits, priorities, identities."""

from components.tenancy.component import Tenancy, TenancyEndpoints
from components.tenancy.spec import Quota, TenancySpec

__all__ = ["Quota", "Tenancy", "TenancyEndpoints", "TenancySpec"]
