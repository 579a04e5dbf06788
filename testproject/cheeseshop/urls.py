"""The shop's addresses."""

from __future__ import annotations

from django.urls import path

from testproject.cheeseshop.views import shop

urlpatterns = [path("", shop, name="shop")]
