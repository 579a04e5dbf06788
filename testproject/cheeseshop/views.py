"""The shop's only page: an order form, and what became of the latest orders."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from testproject.cheeseshop.forms import OrderForm
from testproject.cheeseshop.models import Day, Order
from testproject.cheeseshop.tasks import pack


def shop(request: HttpRequest) -> HttpResponse:
    """Show the shop; take an order, and leave the packing to a task."""
    form = OrderForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            day = Day.today()
            order = form.save(day)
            day.remember([pack.apply_async((order,), priority=order.priority)])
        return redirect("shop")
    orders = Order.objects.prefetch_related("lines__cheese")[:20]
    return render(request, "cheeseshop/shop.html", {"form": form, "orders": orders})
