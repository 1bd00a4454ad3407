"""Makes what stands in the chart and the documents out of observability/: rules, dashboards, the page of the SLOs."""
