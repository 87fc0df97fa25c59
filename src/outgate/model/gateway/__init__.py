"""The Gateway API's resources to declarations: what a route does depends on what its references lead to."""
