"""The shop's books in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from testproject.cheeseshop.models import Cheese, Line, Order

if TYPE_CHECKING:
    OrderModelAdmin = admin.ModelAdmin[Order]
    CheeseModelAdmin = admin.ModelAdmin[Cheese]
    LineTabularInline = admin.TabularInline[Line, Order]
else:
    OrderModelAdmin = CheeseModelAdmin = admin.ModelAdmin
    LineTabularInline = admin.TabularInline

admin.site.site_header = "The Cheese Shop"
admin.site.site_title = "The Cheese Shop"


class LineInline(LineTabularInline):
    """The cheeses of an order."""

    model = Line
    extra = 0


@admin.register(Order)
class OrderAdmin(OrderModelAdmin):
    """Orders, the newest first."""

    list_display = ("number", "customer", "town", "express", "packed_at", "tracking")
    list_filter = ("express", "day")
    search_fields = ("customer", "town", "tracking")
    inlines = [LineInline]


@admin.register(Cheese)
class CheeseAdmin(CheeseModelAdmin):
    """The range."""

    list_display = ("name", "country", "price", "cost", "stock")
    list_filter = ("country",)
    search_fields = ("name",)
