"""The order form."""

from __future__ import annotations

from django import forms
from django.core.validators import MaxValueValidator

from testproject.cheeseshop.models import Cheese, Day, Order


class OrderForm(forms.Form):
    """An order over the counter: one cheese."""

    customer = forms.CharField(max_length=60)
    email = forms.EmailField()
    street = forms.CharField(max_length=60)
    town = forms.CharField(max_length=40)
    postcode = forms.CharField(max_length=10)
    cheese = forms.ModelChoiceField(Cheese.objects.all(), to_field_name="name")
    portions = forms.IntegerField(
        min_value=1, initial=2, validators=[MaxValueValidator(50)], help_text="of 100 g"
    )
    express = forms.BooleanField(required=False)

    def save(self, day: Day) -> Order:
        """Write the order to the books of a day."""
        data = dict(self.cleaned_data)
        cheese, portions = data.pop("cheese"), data.pop("portions")
        order = Order.objects.create(day=day, **data)
        order.lines.create(cheese=cheese, portions=portions)
        return order
